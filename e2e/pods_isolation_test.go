//go:build lab

package e2e

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
			"looks":  {"!etc", "!opt", "!hold"},
			"reads":  {"Uid:\t65535\t65535\t65535\t65535\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n", " / / ro,"},
			"writes": {"read-only file system"},
		},
		status: map[string]string{"{.containerStatuses[0].state.terminated.exitCode}": "0"},
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
		name: "label-of-selinux",
		spec: `
securityContext: {seLinuxOptions: {level: "s0:c1"}}
containers: [{name: c, image: IMAGE, args: [env]}]`,
		status: map[string]string{"{.phase}": "Failed", "{.reason}": "SELinux"},
	}}
}
