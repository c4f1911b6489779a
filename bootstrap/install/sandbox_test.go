package install

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// own are the directives that give a unit mounts of its own.
var own = []string{"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectProc", "ProtectKernelLogs", "ProtectKernelModules",
	"ProtectKernelTunables", "ProtectControlGroups", "ProtectHostname", "InaccessiblePaths", "ReadOnlyPaths", "ReadWritePaths", "TemporaryFileSystem",
	"BindPaths", "PrivateMounts", "RootDirectory", "DynamicUser", "StateDirectory", "RuntimeDirectory"}

func directives(c config.Component) map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(strings.Join(sandbox(c), "\n")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		out[name] = append(out[name], value)
	}
	return out
}

// A mount of the container runtime or of the kubelet that stays in a namespace of its
// own is in no pod.
func TestWhatMountsHasTheServersMounts(t *testing.T) {
	for _, c := range []config.Component{config.Containerd, config.Kubelet} {
		d := directives(c)
		for _, name := range own {
			if d[name] != nil {
				t.Errorf("%s has %s=%v", c, name, d[name])
			}
		}
	}
	if got := sandbox(config.Containerd); len(got) > 0 {
		t.Errorf("containers inherit %v of their runtime", got)
	}
}

func TestWhatEachProcessMay(t *testing.T) {
	all := "-" + config.StateDir
	for c, want := range map[config.Component]struct{ capabilities, families, state, hides, user string }{
		config.Etcd:              {"", "AF_UNIX AF_INET AF_INET6", "gantry/etcd gantry/etcd-member gantry/etcd-snapshots", "-/var/lib/gantry/kubelet", ""},
		config.APIServer:         {"", "AF_UNIX AF_INET AF_INET6 AF_NETLINK", "gantry/audit", "-/var/lib/gantry/etcd", ""},
		config.ControllerManager: {"", "AF_UNIX AF_INET AF_INET6", "", all, ""},
		config.Scheduler:         {"", "AF_UNIX AF_INET AF_INET6", "", "-/etc/gantry/pki/ca.key", ""},
		config.Proxy:             {"CAP_NET_ADMIN", "AF_UNIX AF_INET AF_INET6 AF_NETLINK", "", "-/etc/gantry/pki/sa.key", ""},
		config.DNS:               {"CAP_NET_BIND_SERVICE", "AF_UNIX AF_INET AF_INET6 AF_NETLINK", "", all, "gantry-dns"},
	} {
		d := directives(c)
		one := func(name string) string { return strings.Join(d[name], " ") }
		if one("CapabilityBoundingSet") != want.capabilities || one("RestrictAddressFamilies") != want.families || one("StateDirectory") != want.state || one("User") != want.user {
			t.Errorf("%s: %v", c, d)
		}
		if !slices.Contains(strings.Fields(one("InaccessiblePaths")), want.hides) {
			t.Errorf("%s sees %s: %s", c, want.hides, one("InaccessiblePaths"))
		}
		for _, name := range []string{"NoNewPrivileges", "PrivateDevices", "ProtectKernelTunables", "RestrictNamespaces", "RestrictSUIDSGID", "MemoryDenyWriteExecute"} {
			if one(name) != "yes" {
				t.Errorf("%s: %s=%s", c, name, one(name))
			}
		}
		if one("ProtectSystem") != "strict" || d["ReadWritePaths"] != nil {
			t.Errorf("%s may write beyond its directories: %v", c, d)
		}
	}
}

// Of several lines systemd takes each as a change of what the ones before it say.
func TestOnlyTheAPIServerGivesFilesAnOwner(t *testing.T) {
	for _, c := range []config.Component{config.Etcd, config.APIServer, config.ControllerManager, config.Scheduler, config.Proxy, config.DNS} {
		want := []string{"@system-service", "~@privileged @resources"}
		if c == config.APIServer {
			want = append(want, "@chown")
		}
		if got := directives(c)["SystemCallFilter"]; !slices.Equal(got, want) {
			t.Errorf("%s: %q", c, got)
		}
	}
}

// A rotation replaces the file of keys: what hides them is over its directory.
func TestWhoDoesNotEncryptSeesNoKeysThatDo(t *testing.T) {
	for _, c := range []config.Component{config.Scheduler, config.Proxy} {
		if got := directives(c)["InaccessiblePaths"]; !slices.Contains(strings.Fields(strings.Join(got, " ")), "-"+path.Dir(config.EncryptionConfigFile)) {
			t.Errorf("from %s is hidden %s", c, got)
		}
	}
	for _, master := range []bool{true, false} {
		made := slices.Contains(directories(spec.Node{Master: master}), step.Dir{Path: config.EncryptionDir, Mode: 0o700})
		if made != master {
			t.Errorf("made on a master (%t): %t", master, made)
		}
	}
}

// Cluster DNS reads what others do not, as a member of its group.
func TestWhoReadsAKey(t *testing.T) {
	if keyMode(config.DNSCert) != 0o640 || keyMode(config.KubeletCert) != 0o600 || configMode(config.DNS) != 0o644 || configMode(config.Proxy) != 0o600 {
		t.Errorf("%o %o %o %o", keyMode(config.DNSCert), keyMode(config.KubeletCert), configMode(config.DNS), configMode(config.Proxy))
	}
}
