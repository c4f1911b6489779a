package podfiles

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

func named(name string, spec corev1.PodSpec) *corev1.Pod {
	p := &corev1.Pod{Spec: spec}
	p.Name, p.Namespace, p.UID = name, "ns", "u"
	return p
}

func TestHostname(t *testing.T) {
	long := strings.Repeat("a", 62) + "-b"
	for _, c := range []struct {
		pod  *corev1.Pod
		want string
	}{
		{named("web-0", corev1.PodSpec{}), "web-0"},
		{named("web-0", corev1.PodSpec{Hostname: "other"}), "other"},
		{named("web-0", corev1.PodSpec{Hostname: "other", HostNetwork: true}), "node"},
		{named(long, corev1.PodSpec{}), strings.Repeat("a", 62)},
		{named("web-0", corev1.PodSpec{Hostname: "other", HostnameOverride: ptr.To("mine.example")}), "mine.example"},
		{named("web-0", corev1.PodSpec{HostnameOverride: &long}), strings.Repeat("a", 62)},
	} {
		if got := Hostname(c.pod, "node"); got != c.want {
			t.Errorf("%s of %s, want %s", got, c.pod.Name, c.want)
		}
	}
}

// TestKernelHostname: with setHostnameAsFQDN, the name has its domain, where there is one.
func TestKernelHostname(t *testing.T) {
	fqdn := corev1.PodSpec{Subdomain: "sub", SetHostnameAsFQDN: ptr.To(true)}
	with := func(edit func(*corev1.PodSpec)) corev1.PodSpec { s := *fqdn.DeepCopy(); edit(&s); return s }
	fits := strings.Repeat("a", 64-len(".sub.ns.svc.c.l"))
	for _, c := range []struct {
		pod  *corev1.Pod
		want string
	}{
		{named("web-0", fqdn), "web-0.sub.ns.svc.c.l"},
		{named(fits, fqdn), fits + ".sub.ns.svc.c.l"},
		{named("web-0", with(func(s *corev1.PodSpec) { s.SetHostnameAsFQDN = ptr.To(false) })), "web-0"},
		{named("web-0", with(func(s *corev1.PodSpec) { s.SetHostnameAsFQDN = nil })), "web-0"},
		{named("web-0", with(func(s *corev1.PodSpec) { s.Subdomain = "" })), "web-0"},
		{named("web-0", with(func(s *corev1.PodSpec) { s.HostNetwork = true })), "node"},
		{named("web-0", with(func(s *corev1.PodSpec) { s.HostnameOverride = ptr.To("mine") })), "mine"},
	} {
		if got, err := KernelHostname(c.pod, "node", "c.l"); got != c.want || err != nil {
			t.Errorf("%s of %s, %v, want %s", got, c.pod.Name, err, c.want)
		}
	}
	if got, err := KernelHostname(named(fits+"b", fqdn), "node", "c.l"); err == nil || !strings.Contains(err.Error(), "is too long (64 characters is the max, 65 characters requested)") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestHostsFile(t *testing.T) {
	aliases := []corev1.HostAlias{{IP: "9.9.9.9", Hostnames: []string{"x", "y"}}}
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want string // its last lines
	}{
		"plain":          {corev1.PodSpec{}, "fe00::2\tip6-allrouters\n10.0.0.7\th\nfd00::7\th\n"},
		"subdomain":      {corev1.PodSpec{Subdomain: "sub"}, "10.0.0.7\th.sub.ns.svc.c.l\th\nfd00::7\th.sub.ns.svc.c.l\th\n"},
		"aliases":        {corev1.PodSpec{HostAliases: aliases}, "fd00::7\th\n\n# Entries added by HostAliases.\n9.9.9.9\tx\ty\n"},
		"on the host":    {corev1.PodSpec{HostNetwork: true}, "the server's\n"},
		"there, aliases": {corev1.PodSpec{HostNetwork: true, HostAliases: aliases}, "the server's\n\n# Entries added by HostAliases.\n9.9.9.9\tx\ty\n"},
	} {
		got := hostsFile(named("p", c.spec), []string{"10.0.0.7", "fd00::7"}, "h", "c.l", "the server's\n")
		begin := "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
		if c.spec.HostNetwork {
			begin = "# Kubernetes-managed hosts file (host network).\nthe server's\n"
		}
		if !strings.HasSuffix(got, c.want) || !strings.HasPrefix(got, begin) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	f := Files{
		Layout: poddir.Layout{Root: dir}, NodeName: "node", ClusterDNS: []string{"10.96.0.10"}, ClusterDomain: "c.l",
		HostResolv: filepath.Join(dir, "resolv"), HostHosts: filepath.Join(dir, "none"),
	}
	if err := os.WriteFile(f.HostResolv, []byte("# by hand\nsearch example.org\nnameserver 192.0.2.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := named("p", corev1.PodSpec{})
	if err := f.Write(p, []string{"10.0.0.7"}); err == nil {
		t.Error("files are written where no pod is")
	}
	if err := os.MkdirAll(f.Layout.Pod("u"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(p, []string{"10.0.0.7"}); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		"/etc/hostname": "p\n", "/etc/hosts": "10.0.0.7\tp\n",
		"/etc/resolv.conf": "search ns.svc.c.l svc.c.l c.l example.org\nnameserver 10.96.0.10\noptions ndots:5\n",
	} {
		got, err := os.ReadFile(Paths(f.Layout, "u")[at])
		if err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s: %q, %v, want %q", at, got, err, want)
		}
	}
}
