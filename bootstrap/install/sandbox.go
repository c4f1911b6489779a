package install

import (
	"path"
	"strings"

	"github.com/gantry-run/gantry/runtime/config"
)

// DNSUser is who cluster DNS runs as. Systemd makes the account with the process, and
// no server keeps it.
const DNSUser = "gantry-dns"

// sandbox is what the unit of a component is kept from, as lines of its [Service]
// section that systemd 247 knows.
func sandbox(c config.Component) []string {
	const inet = "AF_UNIX AF_INET AF_INET6"
	switch c {
	case config.Etcd:
		return append(confined("", inet), state(config.EtcdDataDir, config.EtcdMemberDir, config.EtcdSnapshotsDir), hidden(config.ContainerdRoot, config.KubeletDir))
	case config.APIServer:
		// The log of audit, as it is rotated, gives the new file the old one's owner: an
		// event is lost where it may not, though the owner is the same. By netlink it knows
		// the addresses of its server, which nothing is proxied to.
		return append(confined("", inet+" AF_NETLINK"), "SystemCallFilter=@chown", state(path.Dir(config.AuditLogFile)),
			hidden(config.EtcdDataDir, config.EtcdSnapshotsDir, config.ContainerdRoot, config.KubeletDir))
	case config.ControllerManager:
		return append(confined("", inet), hidden(config.StateDir))
	case config.Scheduler:
		return append(confined("", inet), hidden(append(authorityKeys(), config.StateDir)...))
	case config.Proxy:
		return append(confined("CAP_NET_ADMIN", inet+" AF_NETLINK"), hidden(append(authorityKeys(), config.StateDir)...))
	case config.DNS:
		// What needs the whole server is done before it starts.
		return append(confined("CAP_NET_BIND_SERVICE", inet+" AF_NETLINK"), "AmbientCapabilities=CAP_NET_BIND_SERVICE", hidden(config.StateDir),
			"DynamicUser=yes", "User="+DNSUser, "RuntimeDirectory="+strings.TrimPrefix(config.DNSRunDir, "/run/"), "RuntimeDirectoryMode=0700",
			"ExecStartPre=+"+config.Binary("gantry")+" "+string(c)+" prepare --config "+c.ConfigFile())
	case config.Kubelet:
		return mounting()
	}
	// Containers inherit what their runtime is kept from, and may have asked for it.
	return nil
}

// authorityKeys are what makes a master more than a node. Those that are files are beside
// what every process reads, and are written once: of one that is replaced, the hiding
// mount is gone until the process starts anew.
func authorityKeys() []string {
	return []string{config.CA.KeyFile(), config.EtcdCA.KeyFile(), config.FrontProxyCA.KeyFile(), config.ServiceAccountKeyFile, config.EncryptionDir}
}

// confined is for a process that needs the network, its directories and the
// capabilities, and nothing else of the server. One that is root owns the files that
// it reads, and without capabilities has no power over others; the file system is
// read-only to it.
func confined(capabilities, families string) []string {
	return []string{
		"CapabilityBoundingSet=" + capabilities,
		"NoNewPrivileges=yes",
		"ProtectSystem=strict",
		"ProtectHome=yes",
		"PrivateTmp=yes",
		"PrivateDevices=yes",
		"ProtectProc=invisible",
		"ProtectClock=yes",
		"ProtectHostname=yes",
		"ProtectKernelLogs=yes",
		"ProtectKernelModules=yes",
		"ProtectKernelTunables=yes",
		"ProtectControlGroups=yes",
		"RestrictAddressFamilies=" + families,
		"RestrictNamespaces=yes",
		"RestrictRealtime=yes",
		"RestrictSUIDSGID=yes",
		"LockPersonality=yes",
		"MemoryDenyWriteExecute=yes",
		"SystemCallArchitectures=native",
		"SystemCallFilter=@system-service",
		"SystemCallFilter=~@privileged @resources",
		"SystemCallErrorNumber=EPERM",
		"UMask=0077",
	}
}

// mounting is for the kubelet, whose mounts have to reach the server and its
// containers: nothing here gives it mounts of its own. It mounts, makes devices,
// namespaces, cgroups and files of others, so that what is taken away is power over
// the kernel itself.
func mounting() []string {
	return []string{
		"CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_BOOT CAP_SYS_PACCT CAP_SYS_TTY_CONFIG CAP_SYSLOG " +
			"CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_LINUX_IMMUTABLE",
		"NoNewPrivileges=yes",
		"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
		"RestrictRealtime=yes",
		"LockPersonality=yes",
		"MemoryDenyWriteExecute=yes",
		"SystemCallArchitectures=native",
		"SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap",
		"SystemCallErrorNumber=EPERM",
	}
}

// state are directories that systemd makes for root alone, and that may be written.
func state(dirs ...string) string {
	var names []string
	for _, dir := range dirs {
		names = append(names, strings.TrimPrefix(dir, "/var/lib/"))
	}
	return "StateDirectory=" + strings.Join(names, " ") + "\nStateDirectoryMode=0700"
}

// hidden are paths that are not to be seen, where they are at all.
func hidden(paths ...string) string { return "InaccessiblePaths=-" + strings.Join(paths, " -") }
