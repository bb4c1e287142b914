//! Packets from capture files, libpcap and AF_PACKET.
