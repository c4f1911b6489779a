package admit

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/component-helpers/node/util/sysctl"
	"k8s.io/utils/ptr"
)

// safeSysctls may be set by any pod: each is of a namespace, and no other pod or the
// server feels it. Those with a kernel are so since that release.
// https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/#safe-and-unsafe-sysctls
var safeSysctls = []struct{ name, kernel string }{
	{"kernel.shm_rmid_forced", ""},
	{"net.ipv4.ip_local_port_range", ""},
	{"net.ipv4.tcp_syncookies", ""},
	{"net.ipv4.ping_group_range", ""},
	{"net.ipv4.ip_unprivileged_port_start", ""},
	{"net.ipv4.ip_local_reserved_ports", "3.16"},
	{"net.ipv4.tcp_keepalive_time", "4.5"},
	{"net.ipv4.tcp_fin_timeout", "4.6"},
	{"net.ipv4.tcp_keepalive_intvl", "4.5"},
	{"net.ipv4.tcp_keepalive_probes", "4.5"},
	{"net.ipv4.tcp_rmem", "4.15"},
	{"net.ipv4.tcp_wmem", "4.15"},
	{"net.ipv4.tcp_slow_start_after_idle", "4.15"},
	{"net.ipv4.tcp_notsent_lowat", "4.6"},
}

// Sysctls rejects pods that set a sysctl which is neither safe nor allowed on this node,
// or one of a namespace that the pod shares with the server.
type Sysctls struct {
	names    map[string]sysctl.Namespace
	prefixes map[string]sysctl.Namespace
}

// NewSysctls returns the handler of a node with that kernel (its release, 6.12.3-amd64).
// allowed are names, or patterns that end in *; one that belongs to no namespace is an
// error, since it would be set for the whole server.
func NewSysctls(kernel string, allowed []string) (Sysctls, error) {
	h := Sysctls{names: map[string]sysctl.Namespace{}, prefixes: map[string]sysctl.Namespace{}}
	running, err := version.ParseGeneric(kernel)
	for _, s := range safeSysctls {
		if s.kernel == "" || err == nil && running.AtLeast(version.MustParseGeneric(s.kernel)) {
			h.names[s.name], _, _ = sysctl.GetNamespace(s.name)
		}
	}
	for _, pattern := range allowed {
		ns, name, prefixed := sysctl.GetNamespace(pattern)
		if ns == sysctl.UnknownNamespace {
			return h, fmt.Errorf("allowedUnsafeSysctls: %q belongs to no namespace: it would be set for the whole server", pattern)
		}
		if prefixed {
			h.prefixes[name] = ns
		} else {
			h.names[name] = ns
		}
	}
	return h, nil
}

// Admit implements Handler.
func (h Sysctls) Admit(_ context.Context, a Attributes) *Rejection {
	spec := &a.Pod.Spec
	if spec.SecurityContext == nil {
		return nil
	}
	shared := map[sysctl.Namespace]bool{
		sysctl.NetNamespace: spec.HostNetwork, sysctl.IPCNamespace: spec.HostIPC,
		sysctl.UTSNamespace: spec.HostNetwork, sysctl.UserNamespace: ptr.Deref(spec.HostUsers, true),
	}
	for _, s := range spec.SecurityContext.Sysctls {
		ns, ok := h.namespace(sysctl.NormalizeName(s.Name))
		switch {
		case !ok:
			return &Rejection{"SysctlForbidden", fmt.Sprintf("forbidden sysctl: %q not allowlisted", s.Name)}
		case shared[ns]:
			return &Rejection{"SysctlForbidden", fmt.Sprintf("forbidden sysctl: %q not allowed with host %s enabled", s.Name, ns)}
		}
	}
	return nil
}

// namespace is that of a sysctl which pods may set.
func (h Sysctls) namespace(name string) (sysctl.Namespace, bool) {
	if ns, ok := h.names[name]; ok {
		return ns, true
	}
	for prefix, ns := range h.prefixes {
		if strings.HasPrefix(name, prefix) {
			return ns, true
		}
	}
	return sysctl.UnknownNamespace, false
}
