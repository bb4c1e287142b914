//! Windows event logs: channels to services, event ids to categories.
//!
//! Facts of Sysmon and Windows in the words of the Sigma taxonomy. Data, and the look-up.

use super::{Source, source};
use crate::record::Scalar;

/// Channel in lower case, and the service.
const SERVICES: &[(&str, &str)] = &[
    ("microsoft-windows-sysmon/operational", "sysmon"),
    ("security", "security"),
    ("system", "system"),
    ("application", "application"),
    ("windows powershell", "powershell-classic"),
    ("microsoft-windows-powershell/operational", "powershell"),
    ("powershellcore/operational", "powershell"),
    ("microsoft-windows-taskscheduler/operational", "taskscheduler"),
    ("microsoft-windows-wmi-activity/operational", "wmi"),
    ("microsoft-windows-windows defender/operational", "windefend"),
    ("microsoft-windows-bits-client/operational", "bits-client"),
    ("microsoft-windows-ntlm/operational", "ntlm"),
    ("microsoft-windows-dns-client/operational", "dns-client"),
    ("microsoft-windows-dns client events/operational", "dns-client"),
    ("dns server", "dns-server"),
    ("microsoft-windows-dns-server/analytical", "dns-server-analytic"),
    ("microsoft-windows-dnsserver/analytical", "dns-server-analytic"),
    ("microsoft-windows-dnsserver/audit", "dns-server-audit"),
    ("microsoft-windows-dhcp-server/operational", "dhcp"),
    ("microsoft-windows-codeintegrity/operational", "codeintegrity-operational"),
    ("microsoft-windows-appxdeploymentserver/operational", "appxdeployment-server"),
    ("microsoft-windows-appxpackaging/operational", "appxpackaging-om"),
    ("microsoft-windows-appmodel-runtime/admin", "appmodel-runtime"),
    ("microsoft-windows-windows firewall with advanced security/firewall", "firewall-as"),
    (
        "microsoft-windows-terminalservices-localsessionmanager/operational",
        "terminalservices-localsessionmanager",
    ),
    ("microsoft-windows-smbclient/security", "smbclient-security"),
    ("microsoft-windows-smbclient/connectivity", "smbclient-connectivity"),
    ("microsoft-windows-smbserver/connectivity", "smbserver-connectivity"),
    ("microsoft-windows-printservice/operational", "printservice-operational"),
    ("microsoft-windows-printservice/admin", "printservice-admin"),
    ("microsoft-windows-applocker/msi and script", "applocker"),
    ("microsoft-windows-applocker/exe and dll", "applocker"),
    ("microsoft-windows-applocker/packaged app-deployment", "applocker"),
    ("microsoft-windows-applocker/packaged app-execution", "applocker"),
    ("msexchange management", "msexchange-management"),
    ("microsoft-windows-security-mitigations/kernel mode", "security-mitigations"),
    ("microsoft-windows-security-mitigations/user mode", "security-mitigations"),
    ("microsoft-windows-diagnosis-scripted/operational", "diagnosis-scripted"),
    ("microsoft-windows-shell-core/operational", "shell-core"),
    ("openssh/operational", "openssh"),
    ("microsoft-windows-ldap-client/debug", "ldap"),
    ("microsoft-windows-bitlocker/bitlocker management", "bitlocker"),
    ("microsoft-windows-vhdmp/operational", "vhdmp"),
    ("microsoft-windows-lsa/operational", "lsa-server"),
    ("microsoft-windows-capi2/operational", "capi2"),
    (
        "microsoft-windows-certificateservicesclient-lifecycle-system/operational",
        "certificateservicesclient-lifecycle-system",
    ),
    ("microsoft-windows-driverframeworks-usermode/operational", "driver-framework"),
    ("microsoft-servicebus-client/admin", "microsoft-servicebus-client"),
    ("microsoft-servicebus-client/operational", "microsoft-servicebus-client"),
    ("microsoft-iis-configuration/operational", "iis-configuration"),
];

/// Category, service, event ids.
const CATEGORIES: &[(&str, &str, &[i128])] = &[
    ("process_creation", "sysmon", &[1]),
    ("process_creation", "security", &[4688]),
    ("file_change", "sysmon", &[2]),
    ("network_connection", "sysmon", &[3]),
    ("sysmon_status", "sysmon", &[4, 16]),
    ("process_termination", "sysmon", &[5]),
    ("driver_load", "sysmon", &[6]),
    ("image_load", "sysmon", &[7]),
    ("create_remote_thread", "sysmon", &[8]),
    ("raw_access_thread", "sysmon", &[9]),
    ("process_access", "sysmon", &[10]),
    ("file_event", "sysmon", &[11]),
    ("registry_event", "sysmon", &[12, 13, 14]),
    ("registry_add", "sysmon", &[12]),
    ("registry_delete", "sysmon", &[12]),
    ("registry_set", "sysmon", &[13]),
    ("registry_rename", "sysmon", &[14]),
    ("create_stream_hash", "sysmon", &[15]),
    ("pipe_created", "sysmon", &[17, 18]),
    ("wmi_event", "sysmon", &[19, 20, 21]),
    ("dns_query", "sysmon", &[22]),
    ("file_delete", "sysmon", &[23]),
    ("clipboard_change", "sysmon", &[24]),
    ("process_tampering", "sysmon", &[25]),
    ("file_delete_detected", "sysmon", &[26]),
    ("file_block_executable", "sysmon", &[27]),
    ("file_block_shredding", "sysmon", &[28]),
    ("file_executable_detected", "sysmon", &[29]),
    ("sysmon_error", "sysmon", &[255]),
    ("ps_module", "powershell", &[4103]),
    ("ps_script", "powershell", &[4104]),
    ("ps_classic_start", "powershell-classic", &[400]),
    ("ps_classic_provider_start", "powershell-classic", &[600]),
    ("ps_classic_script", "powershell-classic", &[800]),
];

pub(super) fn sources(channel: Option<&Scalar<'_>>, id: Option<&Scalar<'_>>) -> Vec<Source> {
    let channel = match channel {
        Some(Scalar::Text(channel)) => channel.to_ascii_lowercase(),
        _ => String::new(),
    };
    let id = match id {
        Some(Scalar::Integer(id)) => Some(*id),
        Some(Scalar::Text(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let service =
        SERVICES.iter().find(|(name, _)| *name == channel).map_or("", |(_, service)| service);
    let mut found: Vec<Source> = CATEGORIES
        .iter()
        .filter(|(_, of, ids)| *of == service && id.is_some_and(|id| ids.contains(&id)))
        .map(|(category, ..)| source("windows", category, service))
        .collect();
    if found.is_empty() {
        found.push(source("windows", "", service));
    }
    found
}
