package install

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

func TestTheKubeletsUnit(t *testing.T) {
	got, err := unitFile(config.Kubelet, spec.Node{ClusterName: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `# Written by Gantry; a change made here is undone by the next apply.
[Unit]
Description=Gantry kubelet of cluster demo
Documentation=https://github.com/gantry-run/gantry
After=network.target gantry-containerd.service
Wants=gantry-containerd.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=/opt/gantry/bin/gantry kubelet --config /etc/gantry/kubelet.yaml
Environment=PATH=/opt/gantry/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
Restart=always
RestartSec=1
TimeoutStartSec=90
TimeoutStopSec=35
LimitNOFILE=1048576
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_BOOT CAP_SYS_PACCT CAP_SYS_TTY_CONFIG CAP_SYSLOG CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_LINUX_IMMUTABLE
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`
	if string(got) != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestTheKubeletWaitsForItsVolumesDisk(t *testing.T) {
	n := spec.Node{ClusterName: "demo"}
	n.Kubelet.Storage.Path = "/mnt/100% data"
	got, err := unitFile(config.Kubelet, n)
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nRequiresMountsFor=\"/mnt/100%% data\"\nStartLimitIntervalSec=0\n"; !strings.Contains(string(got), want) {
		t.Errorf("got:\n%s", got)
	}
	if got, err = unitFile(config.Proxy, n); err != nil || strings.Contains(string(got), "RequiresMountsFor") {
		t.Errorf("proxy: %v\n%s", err, got)
	}
}

func TestNoUnitStopsAnother(t *testing.T) {
	for _, c := range append(config.MasterComponents(), config.WorkerComponents()...) {
		got, err := unitFile(c, spec.Node{})
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"Requires=", "BindsTo=", "PartOf=", "OOMScoreAdjust=-"} {
			if strings.Contains(string(got), bad) {
				t.Errorf("%s has %s", c, bad)
			}
		}
		if pods := strings.Contains(string(got), "KillMode=process\nDelegate=yes"); pods != (c == config.Containerd) {
			t.Errorf("%s: shims outlive it: %v", c, pods)
		}
	}
}

func TestUpstreamsAreTheHostsOwn(t *testing.T) {
	for content, want := range map[string]int{"": 0, "# nameserver 192.0.2.1\nsearch x\n": 0, "search x\nnameserver 192.0.2.1\n": 1} {
		if got := Upstreams(map[string][]byte{resolvFile: []byte(content)}); len(got) != want {
			t.Errorf("%q: %v", content, got)
		}
	}
}
