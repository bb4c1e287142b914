//! Names of PDUs, and of well-known interfaces and their procedures.
//!
//! Interfaces and procedures as their open specifications name them (MS-SCMR, MS-RRP, MS-SAMR, MS-LSAD,
//! MS-NRPC, MS-DRSR, MS-SRVS, MS-WKST, MS-RPRN, MS-TSCH, MS-DCOM, C706 appendix O and Q).

/// Name of a kind of PDU.
#[must_use]
pub fn kind_name(kind: u8) -> Option<&'static str> {
    const NAMES: [&str; 21] = [
        "REQUEST",
        "PING",
        "RESPONSE",
        "FAULT",
        "WORKING",
        "NOCALL",
        "REJECT",
        "ACK",
        "CL_CANCEL",
        "FACK",
        "CANCEL_ACK",
        "BIND",
        "BINDACK",
        "BINDNAK",
        "ALTER_CONTEXT",
        "ALTER_CONTEXT_RESP",
        "AUTH3",
        "SHUTDOWN",
        "CO_CANCEL",
        "ORPHANED",
        "RTS",
    ];
    NAMES.get(usize::from(kind)).copied()
}

/// Name of a well-known interface.
#[must_use]
pub fn service(uuid: &[u8; 16]) -> Option<&'static str> {
    find(uuid).map(|known| known.name)
}

/// Name of a procedure of a well-known interface.
#[must_use]
pub fn procedure(uuid: &[u8; 16], opnum: u16) -> Option<&'static str> {
    find(uuid)?.procedures.split_ascii_whitespace().nth(usize::from(opnum))
}

fn find(uuid: &[u8; 16]) -> Option<&'static Known> {
    let number = u128::from_be_bytes(*uuid);
    KNOWN.iter().find(|known| known.uuid == number)
}

/// A well-known interface.
struct Known {
    name: &'static str,
    uuid: u128,
    /// In the order of their numbers, a blank between two.
    procedures: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        name: "epmapper",
        uuid: 0xe1af_8308_5d1f_11c9_91a4_0800_2b14_a0fa,
        procedures: "ept_insert ept_delete ept_lookup ept_map ept_lookup_handle_free ept_inq_object \
            ept_mgmt_delete",
    },
    Known {
        name: "mgmt",
        uuid: 0xafa8_bd80_7d8a_11c9_bef4_0800_2b10_2989,
        procedures: "inq_if_ids inq_stats is_server_listening stop_server_listening inq_princ_name",
    },
    Known {
        name: "svcctl",
        uuid: 0x367a_bb81_9844_35f1_ad32_98f0_3800_1003,
        procedures: "CloseServiceHandle ControlService DeleteService LockServiceDatabase \
            QueryServiceObjectSecurity SetServiceObjectSecurity QueryServiceStatus \
            SetServiceStatus UnlockServiceDatabase NotifyBootConfigStatus ScSetServiceBitsW \
            ChangeServiceConfigW CreateServiceW EnumDependentServicesW EnumServicesStatusW \
            OpenSCManagerW OpenServiceW QueryServiceConfigW QueryServiceLockStatusW \
            StartServiceW GetServiceDisplayNameW GetServiceKeyNameW ScSetServiceBitsA \
            ChangeServiceConfigA CreateServiceA EnumDependentServicesA EnumServicesStatusA \
            OpenSCManagerA OpenServiceA QueryServiceConfigA QueryServiceLockStatusA \
            StartServiceA GetServiceDisplayNameA GetServiceKeyNameA ScGetCurrentGroupStateW \
            EnumServiceGroupW ChangeServiceConfig2A ChangeServiceConfig2W QueryServiceConfig2A \
            QueryServiceConfig2W QueryServiceStatusEx EnumServicesStatusExA \
            EnumServicesStatusExW ScSendTSMessage CreateServiceWOW64A CreateServiceWOW64W \
            ScQueryServiceTagInfo NotifyServiceStatusChange GetNotifyResults CloseNotifyHandle \
            ControlServiceExA ControlServiceExW",
    },
    Known {
        name: "winreg",
        uuid: 0x338c_d001_2244_31f1_aaaa_9000_3800_1003,
        procedures: "OpenClassesRoot OpenCurrentUser OpenLocalMachine OpenPerformanceData OpenUsers \
            BaseRegCloseKey BaseRegCreateKey BaseRegDeleteKey BaseRegDeleteValue BaseRegEnumKey \
            BaseRegEnumValue BaseRegFlushKey BaseRegGetKeySecurity BaseRegLoadKey \
            BaseRegNotifyChangeKeyValue BaseRegOpenKey BaseRegQueryInfoKey BaseRegQueryValue \
            BaseRegReplaceKey BaseRegRestoreKey BaseRegSaveKey BaseRegSetKeySecurity \
            BaseRegSetValue BaseRegUnLoadKey BaseInitiateSystemShutdown BaseAbortSystemShutdown \
            BaseRegGetVersion OpenCurrentConfig OpenDynData BaseRegQueryMultipleValues \
            BaseInitiateSystemShutdownEx BaseRegSaveKeyEx OpenPerformanceText \
            OpenPerformanceNlsText BaseRegQueryMultipleValues2 BaseRegDeleteKeyEx",
    },
    Known {
        name: "atsvc",
        uuid: 0x1ff7_0682_0a51_30e8_076d_740b_e8ce_e98b,
        procedures: "NetrJobAdd NetrJobDel NetrJobEnum NetrJobGetInfo",
    },
    Known {
        name: "dssetup",
        uuid: 0x3919_286a_b10c_11d0_9ba8_00c0_4fd9_2ef5,
        procedures: "DsRolerGetPrimaryDomainInformation DsRolerDnsNameToFlatName DsRolerDcAsDc \
            DsRolerDcAsReplica DsRolerDemoteDc DsRolerGetDcOperationProgress \
            DsRolerGetDcOperationResults DsRolerCancel DsRolerServerSaveStateForUpgrade \
            DsRolerUpgradeDownlevelServer DsRolerAbortDownlevelServerUpgrade",
    },
    Known {
        name: "netlogon",
        uuid: 0x1234_5678_1234_abcd_ef00_0123_4567_cffb,
        procedures: "NetrLogonUasLogon NetrLogonUasLogoff NetrLogonSamLogon NetrLogonSamLogoff \
            NetrServerReqChallenge NetrServerAuthenticate NetrServerPasswordSet \
            NetrDatabaseDeltas NetrDatabaseSync NetrAccountDeltas NetrAccountSync NetrGetDCName \
            NetrLogonControl NetrGetAnyDCName NetrLogonControl2 NetrServerAuthenticate2 \
            NetrDatabaseSync2 NetrDatabaseRedo NetrLogonControl2Ex NetrEnumerateTrustedDomains \
            DsrGetDcName NetrLogonGetCapabilities NetrLogonSetServiceBits NetrLogonGetTrustRid \
            NetrLogonComputeServerDigest NetrLogonComputeClientDigest NetrServerAuthenticate3 \
            DsrGetDcNameEx DsrGetSiteName NetrLogonGetDomainInfo NetrServerPasswordSet2 \
            NetrServerPasswordGet NetrLogonSendToSam DsrAddressToSiteNamesW DsrGetDcNameEx2 \
            NetrLogonGetTimeServiceParentDomain NetrEnumerateTrustedDomainsEx \
            DsrAddressToSiteNamesExW DsrGetDcSiteCoverageW NetrLogonSamLogonEx \
            DsrEnumerateDomainTrusts DsrDeregisterDnsHostRecords NetrServerTrustPasswordsGet \
            DsrGetForestTrustInformation NetrGetForestTrustInformation \
            NetrLogonSamLogonWithFlags NetrServerGetTrustInfo",
    },
    Known {
        name: "drsuapi",
        uuid: 0xe351_4235_4b06_11d1_ab04_00c0_4fc2_dcd2,
        procedures: "DRSBind DRSUnbind DRSReplicaSync DRSGetNCChanges DRSUpdateRefs DRSReplicaAdd \
            DRSReplicaDel DRSReplicaModify DRSVerifyNames DRSGetMemberships DRSInterDomainMove \
            DRSGetNT4ChangeLog DRSCrackNames DRSWriteSPN DRSRemoveDsServer DRSRemoveDsDomain \
            DRSDomainControllerInfo DRSAddEntry DRSExecuteKCC DRSGetReplInfo DRSAddSidHistory \
            DRSGetMemberships2 DRSReplicaVerifyObjects DRSGetObjectExistence DRSQuerySitesByCost \
            DRSInitDemotion DRSReplicaDemotion DRSFinishDemotion",
    },
    Known {
        name: "IRemUnknown",
        uuid: 0x0000_0131_0000_0000_c000_0000_0000_0046,
        procedures: "QueryInterface AddRef Release RemQueryInterface RemAddRef RemRelease",
    },
    Known {
        name: "IRemUnknown2",
        uuid: 0x0000_0143_0000_0000_c000_0000_0000_0046,
        procedures: "QueryInterface AddRef Release RemQueryInterface RemAddRef RemRelease \
            RemQueryInterface2",
    },
    Known {
        name: "IRemoteSCMActivator",
        uuid: 0x0000_01a0_0000_0000_c000_0000_0000_0046,
        procedures: "QueryInterface AddRef Release RemoteGetClassObject RemoteCreateInstance",
    },
    Known {
        name: "IActivation",
        uuid: 0x4d9f_4ab8_7d1c_11cf_861e_0020_af6e_7c57,
        procedures: "RemoteActivation",
    },
    Known {
        name: "IOXIDResolver",
        uuid: 0x99fc_fec4_5260_101b_bbcb_00aa_0021_347a,
        procedures: "ResolveOxid SimplePing ComplexPing ServerAlive ResolveOxid2 ServerAlive2",
    },
    Known {
        name: "IDispatch",
        uuid: 0x0002_0400_0000_0000_c000_0000_0000_0046,
        procedures: "QueryInterface AddRef Release GetTypeInfoCount GetTypeInfo GetIDsOfNames Invoke",
    },
    Known {
        name: "samr",
        uuid: 0x1234_5778_1234_abcd_ef00_0123_4567_89ac,
        procedures: "SamrConnect SamrCloseHandle SamrSetSecurityObject SamrQuerySecurityObject \
            SamrShutdownSamServer SamrLookupDomainInSamServer SamrEnumerateDomainsInSamServer \
            SamrOpenDomain SamrQueryInformationDomain SamrSetInformationDomain \
            SamrCreateGroupInDomain SamrEnumerateGroupsInDomain SamrCreateUserInDomain \
            SamrEnumerateUsersInDomain SamrCreateAliasInDomain SamrEnumerateAliasesInDomain \
            SamrGetAliasMembership SamrLookupNamesInDomain SamrLookupIdsInDomain SamrOpenGroup \
            SamrQueryInformationGroup SamrSetInformationGroup SamrAddMemberToGroup \
            SamrDeleteGroup SamrRemoveMemberFromGroup SamrGetMembersInGroup \
            SamrSetMemberAttributesOfGroup SamrOpenAlias SamrQueryInformationAlias \
            SamrSetInformationAlias SamrDeleteAlias SamrAddMemberToAlias \
            SamrRemoveMemberFromAlias SamrGetMembersInAlias SamrOpenUser SamrDeleteUser \
            SamrQueryInformationUser SamrSetInformationUser SamrChangePasswordUser \
            SamrGetGroupsForUser SamrQueryDisplayInformation SamrGetDisplayEnumerationIndex \
            SamrTestPrivateFunctionsDomain SamrTestPrivateFunctionsUser \
            SamrGetUserDomainPasswordInformation SamrRemoveMemberFromForeignDomain \
            SamrQueryInformationDomain2 SamrQueryInformationUser2 SamrQueryDisplayInformation2 \
            SamrGetDisplayEnumerationIndex2 SamrCreateUser2InDomain SamrQueryDisplayInformation3 \
            SamrAddMultipleMembersToAlias SamrRemoveMultipleMembersFromAlias \
            SamrOemChangePasswordUser2 SamrUnicodeChangePasswordUser2 \
            SamrGetDomainPasswordInformation SamrConnect2 SamrSetInformationUser2 \
            SamrSetBootKeyInformation SamrGetBootKeyInformation SamrConnect3 SamrConnect4 \
            SamrUnicodeChangePasswordUser3 SamrConnect5 SamrRidToSid SamrSetDSRMPassword \
            SamrValidatePassword",
    },
    Known {
        name: "lsarpc",
        uuid: 0x1234_5778_1234_abcd_ef00_0123_4567_89ab,
        procedures: "LsarClose LsarDelete LsarEnumeratePrivileges LsarQuerySecurityObject \
            LsarSetSecurityObject LsarChangePassword LsarOpenPolicy LsarQueryInformationPolicy \
            LsarSetInformationPolicy LsarClearAuditLog LsarCreateAccount LsarEnumerateAccounts \
            LsarCreateTrustedDomain LsarEnumerateTrustedDomains LsarLookupNames LsarLookupSids \
            LsarCreateSecret LsarOpenAccount LsarEnumeratePrivilegesAccount \
            LsarAddPrivilegesToAccount LsarRemovePrivilegesFromAccount LsarGetQuotasForAccount \
            LsarSetQuotasForAccount LsarGetSystemAccessAccount LsarSetSystemAccessAccount \
            LsarOpenTrustedDomain LsarQueryInfoTrustedDomain LsarSetInformationTrustedDomain \
            LsarOpenSecret LsarSetSecret LsarQuerySecret LsarLookupPrivilegeValue \
            LsarLookupPrivilegeName LsarLookupPrivilegeDisplayName LsarDeleteObject \
            LsarEnumerateAccountsWithUserRight LsarEnumerateAccountRights LsarAddAccountRights \
            LsarRemoveAccountRights LsarQueryTrustedDomainInfo LsarSetTrustedDomainInfo \
            LsarDeleteTrustedDomain LsarStorePrivateData LsarRetrievePrivateData LsarOpenPolicy2 \
            LsarGetUserName LsarQueryInformationPolicy2 LsarSetInformationPolicy2 \
            LsarQueryTrustedDomainInfoByName LsarSetTrustedDomainInfoByName \
            LsarEnumerateTrustedDomainsEx LsarCreateTrustedDomainEx LsarCloseTrustedDomainEx \
            LsarQueryDomainInformationPolicy LsarSetDomainInformationPolicy \
            LsarOpenTrustedDomainByName LsarTestCall LsarLookupSids2 LsarLookupNames2 \
            LsarCreateTrustedDomainEx2",
    },
    Known {
        name: "srvsvc",
        uuid: 0x4b32_4fc8_1670_01d3_1278_5a47_bf6e_e188,
        procedures: "NetrCharDevEnum NetrCharDevGetInfo NetrCharDevControl NetrCharDevQEnum \
            NetrCharDevQGetInfo NetrCharDevQSetInfo NetrCharDevQPurge NetrCharDevQPurgeSelf \
            NetrConnectionEnum NetrFileEnum NetrFileGetInfo NetrFileClose NetrSessionEnum \
            NetrSessionDel NetrShareAdd NetrShareEnum NetrShareGetInfo NetrShareSetInfo \
            NetrShareDel NetrShareDelSticky NetrShareCheck NetrServerGetInfo NetrServerSetInfo \
            NetrServerDiskEnum NetrServerStatisticsGet NetrServerTransportAdd \
            NetrServerTransportEnum NetrServerTransportDel NetrRemoteTOD \
            NetrServerSetServiceBits NetprPathType NetprPathCanonicalize NetprPathCompare \
            NetprNameValidate NetprNameCanonicalize NetprNameCompare NetrShareEnumSticky \
            NetrShareDelStart NetrShareDelCommit NetrpGetFileSecurity NetrpSetFileSecurity \
            NetrServerTransportAddEx NetrServerSetServiceBitsEx",
    },
    Known {
        name: "wkssvc",
        uuid: 0x6bff_d098_a112_3610_9833_46c3_f87e_345a,
        procedures: "NetrWkstaGetInfo NetrWkstaSetInfo NetrWkstaUserEnum NetrWkstaUserGetInfo \
            NetrWkstaUserSetInfo NetrWkstaTransportEnum NetrWkstaTransportAdd \
            NetrWkstaTransportDel NetrUseAdd NetrUseGetInfo NetrUseDel NetrUseEnum \
            NetrMessageBufferSend NetrWorkstationStatisticsGet NetrLogonDomainNameAdd \
            NetrLogonDomainNameDel NetrJoinDomain NetrUnjoinDomain NetrRenameMachineInDomain \
            NetrValidateName NetrGetJoinInformation NetrGetJoinableOUs NetrJoinDomain2 \
            NetrUnjoinDomain2 NetrRenameMachineInDomain2 NetrValidateName2 NetrGetJoinableOUs2 \
            NetrAddAlternateComputerName NetrRemoveAlternateComputerName \
            NetrSetPrimaryComputerName NetrEnumerateComputerNames",
    },
    Known {
        name: "spoolss",
        uuid: 0x1234_5678_1234_abcd_ef00_0123_4567_89ab,
        procedures: "RpcEnumPrinters RpcOpenPrinter RpcSetJob RpcGetJob RpcEnumJobs RpcAddPrinter \
            RpcDeletePrinter RpcSetPrinter RpcGetPrinter RpcAddPrinterDriver \
            RpcEnumPrinterDrivers RpcGetPrinterDriver RpcGetPrinterDriverDirectory \
            RpcDeletePrinterDriver RpcAddPrintProcessor RpcEnumPrintProcessors \
            RpcGetPrintProcessorDirectory RpcStartDocPrinter RpcStartPagePrinter RpcWritePrinter \
            RpcEndPagePrinter RpcAbortPrinter RpcReadPrinter RpcEndDocPrinter RpcAddJob \
            RpcScheduleJob RpcGetPrinterData RpcSetPrinterData RpcWaitForPrinterChange \
            RpcClosePrinter",
    },
    Known {
        name: "ITaskSchedulerService",
        uuid: 0x86d3_5949_83c9_4044_b424_db36_3231_fd0c,
        procedures: "SchRpcHighestVersion SchRpcRegisterTask SchRpcRetrieveTask SchRpcCreateFolder \
            SchRpcSetSecurity SchRpcGetSecurity SchRpcEnumFolder SchRpcEnumTasks \
            SchRpcEnumInstances SchRpcGetInstanceInfo SchRpcStopInstance SchRpcStop SchRpcRun \
            SchRpcDelete SchRpcRename SchRpcScheduledRuntimes SchRpcGetLastRunInfo \
            SchRpcGetTaskInfo SchRpcGetNumberOfMissedRuns SchRpcEnableTask",
    },
    Known {
        name: "efs",
        uuid: 0xc681_d488_d850_11d0_8c52_00c0_4fd9_0f7e,
        procedures: "EfsRpcOpenFileRaw EfsRpcReadFileRaw EfsRpcWriteFileRaw EfsRpcCloseRaw \
            EfsRpcEncryptFileSrv EfsRpcDecryptFileSrv EfsRpcQueryUsersOnFile \
            EfsRpcQueryRecoveryAgents EfsRpcRemoveUsersFromFile EfsRpcAddUsersToFile",
    },
    Known {
        name: "eventlog",
        uuid: 0x8227_3fdc_e32a_18c3_3f78_8279_29dc_23ea,
        procedures: "ElfrClearELFW ElfrBackupELFW ElfrCloseEL ElfrDeregisterEventSource \
            ElfrNumberOfRecords ElfrOldestRecord ElfrChangeNotify ElfrOpenELW \
            ElfrRegisterEventSourceW ElfrOpenBELW ElfrReadELW ElfrReportEventW",
    },
];
