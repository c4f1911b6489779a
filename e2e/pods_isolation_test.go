//go:build lab

package e2e

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// isolationCases are pods that try to reach more of the server than they were given, or
// ask for what their node cannot enforce.
func isolationCases() []podCase {
	return []podCase{{
		name: "holder",
		spec: `
restartPolicy: Never
shareProcessNamespace: true
containers:
- name: looks
  image: IMAGE
  args: [ls, /proc/1/root]
  securityContext: {capabilities: {add: [SYS_PTRACE]}}
- name: reads
  image: IMAGE
  args: [cat, /proc/1/status, /proc/1/mountinfo]
  securityContext: {capabilities: {add: [SYS_PTRACE]}}
- name: writes
  image: IMAGE
  args: [write, /proc/1/exe, other]
  securityContext: {capabilities: {add: [SYS_PTRACE]}}`,
		logs: map[string][]string{
			"looks": {"!etc", "!opt", "!hold"},
			"reads": {"Uid:\t65535\t65535\t65535\t65535\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n", " / / ro,"},
		},
		// The file system is read-only; where the kernel has AppArmor, it refuses before, and the look too.
		status: map[string]string{
			"{.containerStatuses[1].state.terminated.exitCode}": "0",
			"{.containerStatuses[2].state.terminated.exitCode}": "1",
		},
	}, {
		name: "sys-of-the-host",
		spec: `
restartPolicy: Never
hostNetwork: true
containers:
- {name: writes, image: IMAGE, args: [write, /sys/fs/cgroup/x, other]}
- {name: reads, image: IMAGE, args: [cat, /proc/mounts]}`,
		logs: map[string][]string{"writes": {"read-only file system"}, "reads": {" /sys ", "! /sys/kernel"}},
	}, {
		name: "read-only-below",
		spec: `
restartPolicy: Never
volumes: [{name: h, hostPath: {path: /}}]
containers:
- name: writes
  image: IMAGE
  args: [write, /h/run/x, other]
  volumeMounts: [{name: h, mountPath: /h, readOnly: true, recursiveReadOnly: Enabled}]`,
		logs:   map[string][]string{"writes": {"read-only file system"}},
		status: map[string]string{"{.containerStatuses[0].volumeMounts[0].recursiveReadOnly}": "Enabled"},
	}, {
		name: "out-of-the-volume",
		spec: `
restartPolicy: Never
volumes: [{name: h, hostPath: {path: /etc/alternatives}}]
containers:
- {name: c, image: IMAGE, args: [ls, /h], volumeMounts: [{name: h, mountPath: /h, readOnly: true, subPath: awk}]}`,
		status: map[string]string{"{.containerStatuses[0].state.waiting.reason}": "CreateContainerConfigError"},
		events: []string{"Failed:leads out of its volume"},
	}, {
		name: "unsafe-sysctl",
		spec: `
securityContext: {sysctls: [{name: net.core.somaxconn, value: "2048"}]}
containers: [{name: c, image: IMAGE, args: [env]}]`,
		status: map[string]string{"{.phase}": "Failed", "{.reason}": "SysctlForbidden"},
	}, {
		name: "label-where-there-is-no-selinux", // it says nothing there, as upstream
		spec: `
restartPolicy: Never
securityContext: {seLinuxOptions: {level: "s0:c1"}}
containers: [{name: c, image: IMAGE, args: [env]}]`,
		status: map[string]string{"{.phase}": "Succeeded"},
	}}
}

// appArmorProfile lets a container do everything but write to /denied.
const appArmorProfile = `profile gantry-e2e-denies flags=(attach_disconnected,mediate_deleted) {
  file, network, capability, signal, ptrace, mount, umount,
  deny /denied w,
}`

// appArmorCases are pods that want AppArmor: they are confined by the profile that they
// name, the default one where they name none, or are refused where the kernel of the host
// has none.
func (p *pods) appArmorCases(t *testing.T, host string) []podCase {
	t.Helper()
	h, err := p.Lab.Host(host)
	if err != nil {
		t.Fatal(err)
	}
	enabled, err := h.Run(t.Context(), "cat /sys/module/apparmor/parameters/enabled 2>/dev/null || echo N")
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(enabled)) != "Y" {
		return []podCase{{
			name: "apparmor",
			spec: `
securityContext: {appArmorProfile: {type: RuntimeDefault}}
containers: [{name: c, image: IMAGE, args: [env]}]`,
			status: map[string]string{"{.phase}": "Failed", "{.reason}": "AppArmor", "{.message}": "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host"},
		}, {
			name: "apparmor-unconfined",
			spec: `
restartPolicy: Never
securityContext: {appArmorProfile: {type: Unconfined}}
containers: [{name: c, image: IMAGE, args: [env]}]`,
			status: map[string]string{"{.phase}": "Succeeded"},
		}}
	}
	if _, err := h.Run(t.Context(), "apparmor_parser -r <<'EOF'\n"+appArmorProfile+"\nEOF"); err != nil {
		t.Fatal(err)
	}
	return []podCase{{
		name: "apparmor",
		spec: `
restartPolicy: Never
containers:
- {name: unasked, image: IMAGE, args: [cat, /proc/self/attr/current]}
- {name: default, image: IMAGE, args: [cat, /proc/self/attr/current], securityContext: {privileged: true, appArmorProfile: {type: RuntimeDefault}}}
- {name: kept, image: IMAGE, args: [write, /proc/sysrq-trigger, h], securityContext: {privileged: true, appArmorProfile: {type: RuntimeDefault}}}
- {name: privileged, image: IMAGE, args: [cat, /proc/self/attr/current], securityContext: {privileged: true}}
- {name: unconfined, image: IMAGE, args: [cat, /proc/self/attr/current], securityContext: {appArmorProfile: {type: Unconfined}}}
- {name: own, image: IMAGE, args: [cat, /proc/self/attr/current], securityContext: {appArmorProfile: {type: Localhost, localhostProfile: gantry-e2e-denies}}}
- {name: writes, image: IMAGE, args: [write, /denied, x], securityContext: {appArmorProfile: {type: Localhost, localhostProfile: gantry-e2e-denies}}}
- {name: other, image: IMAGE, args: [write, /other, x], securityContext: {appArmorProfile: {type: Localhost, localhostProfile: gantry-e2e-denies}}}`,
		logs: map[string][]string{
			"unasked": {"gantry-default (enforce)"}, "default": {"gantry-default (enforce)"}, "kept": {"permission denied"},
			"privileged": {"unconfined"}, "unconfined": {"unconfined"},
			"own": {"gantry-e2e-denies (enforce)"}, "writes": {"permission denied"},
		},
		status: map[string]string{"{.containerStatuses[?(@.name=='other')].state.terminated.exitCode}": "0"},
	}, {
		name: "apparmor-not-loaded",
		spec: `
restartPolicy: Never
containers: [{name: c, image: IMAGE, args: [env], securityContext: {appArmorProfile: {type: Localhost, localhostProfile: gantry-e2e-none}}}]`,
		status: map[string]string{"{.containerStatuses[0].state.waiting.message}": "create container c: apparmor profile not found gantry-e2e-none"},
	}}
}

// userCases are pods that want users of their own: they have them, or are refused where
// the kernel of the nodes cannot map mounts.
func (p *pods) userCases(t *testing.T) []podCase {
	t.Helper()
	nodes, err := p.api.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes.Items {
		for _, h := range n.Status.RuntimeHandlers {
			if h.Name == "" && !ptr.Deref(h.Features.UserNamespaces, false) {
				return []podCase{{
					name: "users-of-its-own",
					spec: `
hostUsers: false
containers: [{name: c, image: IMAGE, args: [env]}]`,
					status: map[string]string{"{.phase}": "Failed", "{.reason}": "UserNamespacesNotSupported"},
				}}
			}
		}
	}
	return []podCase{{
		name: "users-of-its-own",
		spec: `
restartPolicy: Never
hostUsers: false
securityContext: {fsGroup: 2000, sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "1"}]}
volumes:
- {name: data, emptyDir: {}}
- {name: memory, emptyDir: {medium: Memory}}
- {name: settings, configMap: {name: settings}}
containers:
- name: maps
  image: IMAGE
  args: [cat, /proc/self/uid_map, /proc/self/gid_map]
- name: owns
  image: IMAGE
  args: [ls, /etc, /settings, /memory]
  volumeMounts: [{name: settings, mountPath: /settings}, {name: memory, mountPath: /memory}]
- name: writes
  image: IMAGE
  args: [write, /data/by-user, mine]
  securityContext: {runAsUser: 1000, runAsGroup: 1000}
  volumeMounts: [{name: data, mountPath: /data, subPath: below}]
- name: sysctl
  image: IMAGE
  args: [write, /proc/sys/kernel/core_pattern, x]
  securityContext: {procMount: Unmasked}`,
		logs: map[string][]string{
			"maps": {" 65536\n", "!4294967295"}, "owns": {" 0 0 hosts\n", " 0 2000 color\n", "!65534"}, "sysctl": {"permission denied"},
		},
		status: map[string]string{"{.containerStatuses[?(@.name=='writes')].state.terminated.exitCode}": "0"},
	}, {
		name: "users-of-its-own-and-processes",
		spec: `
restartPolicy: Never
hostUsers: false
shareProcessNamespace: true
containers:
- {name: maps, image: IMAGE, args: [cat, /proc/self/uid_map]}
- {name: reads, image: IMAGE, args: [cat, /proc/1/status]}
- name: looks
  image: IMAGE
  args: [ls, /proc/1/root]
  securityContext: {capabilities: {add: [SYS_PTRACE]}}`,
		logs: map[string][]string{
			"maps": {" 65536\n", "!4294967295"}, "looks": {"!etc", "!opt", "!hold"},
			"reads": {"Uid:\t65535\t65535\t65535\t65535\n", "CapEff:\t0000000000000000\n"},
		},
	}, {
		name: "users-beyond-its-own",
		spec: `
restartPolicy: Never
hostUsers: false
containers: [{name: c, image: IMAGE, args: [env], securityContext: {runAsUser: 65536}}]`,
		status: map[string]string{"{.containerStatuses[0].state.waiting.reason}": "RunContainerError"},
	}}
}
