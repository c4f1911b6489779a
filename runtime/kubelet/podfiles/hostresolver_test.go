package podfiles

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

func TestHostResolver(t *testing.T) {
	const (
		stub   = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n"
		behind = "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch lan\n"
		seen   = "search lan\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"
	)
	for name, c := range map[string]struct {
		etc, resolved string
		hostNetwork   bool
		want          string
	}{
		"an ordinary file":                       {etc: behind, want: seen},
		"an ordinary file, though the other is":  {etc: "nameserver 192.0.2.9\n", resolved: behind, want: "nameserver 192.0.2.9\n"},
		"systemd-resolved's stub":                {etc: stub, resolved: behind, want: seen},
		"on the host's network":                  {etc: stub, resolved: behind, hostNetwork: true, want: "search lan\nnameserver 127.0.0.53\noptions edns0 trust-ad\n"},
		"a stub with nothing behind it":          {etc: stub, resolved: "# No DNS servers known.\nsearch .\n", want: "search lan\noptions edns0 trust-ad\n"},
		"a stub, and loopback behind it":         {etc: stub, resolved: "nameserver 127.0.0.1\n", want: "search lan\noptions edns0 trust-ad\n"},
		"a resolver of the server's own":         {etc: "nameserver 127.0.0.1\nsearch lan\n", want: "search lan\n"},
		"one of its own and others":              {etc: "nameserver 127.0.0.1\nnameserver 192.0.2.9\n", resolved: behind, want: "nameserver 192.0.2.9\n"},
		"loopback of every kind":                 {etc: "nameserver 127.9.8.7\nnameserver ::1\nnameserver ::ffff:127.0.0.53\nnameserver 0.0.0.0\nnameserver ::\n", resolved: behind, want: "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"},
		"a resolver of its own, and resolved":    {etc: "nameserver 127.0.0.1\nsearch own\noptions rotate\n", resolved: behind, want: "search own\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions rotate\n"},
		"only a search, and resolved":            {etc: "search own\n", resolved: behind, want: "search own\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"},
		"the stub's other address":               {etc: "nameserver 127.0.0.54\nsearch lan\noptions trust-ad\n", resolved: behind, want: seen},
		"the stub, and one of its own":           {etc: "nameserver 127.0.0.53\nnameserver 127.0.0.1\nsearch own\n", resolved: behind, want: "search own\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"},
		"loopback behind the third, which is no": {etc: "nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\nnameserver 192.0.2.9\n", want: "nameserver 192.0.2.9\n"},
		"nothing at all":                         {},
		"nothing, and what resolved knows":       {resolved: behind, want: seen},
		"link-local":                             {etc: "nameserver fe80::1%eth0\n", want: "nameserver fe80::1%eth0\n"},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{HostNetwork: c.hostNetwork}}
		if got := hostResolver(pod, parseResolver(c.etc), parseResolver(c.resolved)).String(); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, c.want)
		}
	}
}

// TestWriteWithAStub: the files are read for each pod anew, and a pod that is left without
// a name server is told of.
func TestWriteWithAStub(t *testing.T) {
	dir := t.TempDir()
	var told []string
	f := Files{
		Layout: poddir.Layout{Root: dir}, NodeName: "node", ClusterDNS: []string{"10.96.0.10"}, ClusterDomain: "c.l",
		HostResolv: filepath.Join(dir, "resolv"), HostResolved: filepath.Join(dir, "resolved"), HostHosts: filepath.Join(dir, "none"),
		Warn: func(pod *corev1.Pod, message string) { told = append(told, pod.Name+": "+message) },
	}
	if err := os.MkdirAll(f.Layout.Pod("u"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spec          corev1.PodSpec
		etc, resolved string
		want          string
		warned        bool
	}{
		{corev1.PodSpec{DNSPolicy: corev1.DNSDefault}, "nameserver 127.0.0.53\n", "", "", true},
		{corev1.PodSpec{DNSPolicy: corev1.DNSDefault}, "nameserver 127.0.0.53\n", "nameserver 192.0.2.1\n", "nameserver 192.0.2.1\n", false},
		{corev1.PodSpec{DNSPolicy: corev1.DNSDefault}, "", "", "", false},
		{corev1.PodSpec{DNSPolicy: corev1.DNSDefault, DNSConfig: &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.7"}}}, "nameserver ::1\n", "", "nameserver 192.0.2.7\n", false},
		{corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst, HostNetwork: true}, "nameserver 127.0.0.53\n", "nameserver 192.0.2.1\n", "nameserver 127.0.0.53\n", false},
		{corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst}, "nameserver 127.0.0.53\n", "nameserver 192.0.2.1\nsearch lan\n", "search ns.svc.c.l svc.c.l c.l lan\nnameserver 10.96.0.10\noptions ndots:5\n", false},
	} {
		told = nil
		for path, content := range map[string]string{f.HostResolv: c.etc, f.HostResolved: c.resolved} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Write(named("p", c.spec), []string{"10.0.0.7"}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(Paths(f.Layout, "u")["/etc/resolv.conf"])
		if err != nil || string(got) != c.want {
			t.Errorf("%+v: %q, %v, want %q", c, got, err, c.want)
		}
		if c.warned != (len(told) == 1) || c.warned && !strings.Contains(told[0], "loopback addresses (127.0.0.53)") {
			t.Errorf("%+v: told of %q", c, told)
		}
	}
}

// TestWriteWithAnUnreadableFile: the file of systemd-resolved is optional, so that a pod starts without it; who would
// have needed it is told.
func TestWriteWithAnUnreadableFile(t *testing.T) {
	dir := t.TempDir()
	var told []string
	f := Files{
		Layout: poddir.Layout{Root: dir}, NodeName: "node", ClusterDNS: []string{"10.96.0.10"}, ClusterDomain: "c.l",
		HostResolv: filepath.Join(dir, "resolv"), HostResolved: dir, HostHosts: filepath.Join(dir, "none"), // a directory is no file
		Warn: func(_ *corev1.Pod, message string) { told = append(told, message) },
	}
	if err := os.MkdirAll(f.Layout.Pod("u"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spec   corev1.PodSpec
		etc    string
		warned bool
	}{
		{corev1.PodSpec{DNSPolicy: corev1.DNSDefault}, "nameserver 192.0.2.1\n", false},
		{corev1.PodSpec{DNSPolicy: corev1.DNSDefault, HostNetwork: true}, "nameserver 127.0.0.53\n", false},
		{corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst}, "nameserver 127.0.0.53\n", true},
	} {
		told = nil
		if err := os.WriteFile(f.HostResolv, []byte(c.etc), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.Write(named("p", c.spec), []string{"10.0.0.7"}); err != nil {
			t.Fatal(err)
		}
		if c.warned != (len(told) == 1) || c.warned && !strings.Contains(told[0], dir) {
			t.Errorf("%+v: told of %q", c, told)
		}
	}
}
