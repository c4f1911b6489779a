package containerspec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/mount"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// api has the ConfigMap and the Secret named "there".
type api struct {
	err     error
	reads   []string
	devices devices
}

func (a *api) read(kind, name string) error {
	a.reads = append(a.reads, kind+" "+name)
	if a.err == nil && name != "there" {
		return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name)
	}
	return a.err
}

func (a *api) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	return &corev1.ConfigMap{Data: map[string]string{"k": "cm"}}, a.read("configmap", name)
}

func (a *api) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	return &corev1.Secret{Data: map[string][]byte{"k": []byte("sec")}}, a.read("secret", name)
}

// volumes are at /v/<name>; those named ro… are read-only.
type volumes struct{ dir string }

func (v volumes) Open(_ *corev1.Pod, name string) (container.Volume, error) {
	if name == "none" {
		return container.Volume{}, errors.New("no such volume")
	}
	root, err := os.Open(v.dir)
	out := container.Volume{Root: root, Path: v.dir + "/" + name, ReadOnly: strings.HasPrefix(name, "ro")}
	if strings.HasPrefix(name, "host") {
		out.Path = ""
	}
	return out, err
}

func (v volumes) Device(_ *corev1.Pod, name string) (path string, readOnly bool, err error) {
	if name == "none" {
		return "", false, errors.New("no such volume")
	}
	return v.dir + "/" + name, strings.HasPrefix(name, "ro"), nil
}

// binds are at /binds/<number>, of what was opened.
type binds map[string]string

func (b binds) Bind(f *os.File, uid, name string, number int, t mount.Tree) (string, error) {
	at := fmt.Sprintf("/binds/%d", number)
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	b[at] = fmt.Sprintf("%s of %s/%s %v", real, uid, name, t)
	return at, err
}

func (b binds) Release(uid, name string) error { return nil }
func (b binds) ReleasePod(string) error        { return nil }

type cgroups struct{}

func (cgroups) Container(_ *corev1.Pod, _ *corev1.Container, id string) container.Resources {
	return container.Resources{CgroupPath: "cg/" + id}
}

func service(namespace, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
}

func newGenerator(t *testing.T) (*Generator, *api) {
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for _, s := range []*corev1.Service{
		service("default", "kubernetes", "10.96.0.1", corev1.ServicePort{Port: 443, Name: "https"}),
		service("ns", "my-db", "10.96.0.2", corev1.ServicePort{Port: 53, Protocol: corev1.ProtocolUDP}),
		service("ns", "headless", corev1.ClusterIPNone), service("other", "x", "10.96.0.3"), service("ns", "new", ""),
	} {
		if err := indexer.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	a := &api{}
	return &Generator{
		NodeName: "node", Layout: poddir.Layout{Root: t.TempDir(), Logs: "/logs"}, Objects: a, Services: corelisters.NewServiceLister(indexer),
		Volumes: volumes{t.TempDir()}, Cgroups: cgroups{}, Binds: binds{}, Devices: &a.devices, SeccompDefault: true, Features: container.Features{RecursiveReadOnly: true},
	}, a
}

func incarnation(edit func(*corev1.Pod, *corev1.Container)) Incarnation {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "img"}}, EnableServiceLinks: ptr.To(false)}}
	p.Name, p.Namespace, p.UID = "p", "ns", "uid"
	edit(p, &p.Spec.Containers[0])
	return Incarnation{
		Pod: p, Status: &corev1.PodStatus{}, Container: &p.Spec.Containers[0], Image: container.Image{Name: "full/img", ID: "img@sha", User: ptr.To[int64](0)},
		Sandbox: container.Sandbox{ID: "sb", Shm: "/sb/shm", Namespaces: container.Namespaces{Net: "/sb/net"}}, Restarts: 2, Backoff: time.Minute,
	}
}

func TestGenerate(t *testing.T) {
	g, _ := newGenerator(t)
	s, err := g.Generate(t.Context(), incarnation(func(p *corev1.Pod, c *corev1.Container) {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "a.b", Value: "1"}}}
		c.Env = []corev1.EnvVar{{Name: "X", Value: "1"}}
		c.Command, c.Args = []string{"run", "$(X)"}, []string{"$(HOSTNAME)", "$(X)$(X)"}
		c.WorkingDir, c.TTY, c.Stdin, c.StdinOnce = "/w", true, true, true
		c.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	}))
	if err != nil {
		t.Fatal(err)
	}
	ref := container.PodRef{Namespace: "ns", Name: "p", UID: "uid"}
	id := container.ID("uid", "sb", "c", 2)
	want := container.Container{
		ID: id, Pod: ref, Name: "c", Sandbox: "sb", Restarts: 2, Backoff: time.Minute, SpecHash: container.SpecHash(&corev1.Container{Image: "img"}),
		Actuated: container.Compute{Known: true}, Image: "img", ImageID: "img@sha", LogPath: "/logs/ns_p_uid/c/2.log",
	}
	if s.Container != want {
		t.Errorf("%+v\nwant %+v", s.Container, want)
	}
	if !reflect.DeepEqual(s.Command, []string{"run", "1"}) || !reflect.DeepEqual(s.Args, []string{"$(HOSTNAME)", "11"}) {
		t.Errorf("command %q %q", s.Command, s.Args)
	}
	if s.Env[0] != "HOSTNAME=p" || !slices.Contains(s.Env, "KUBERNETES_SERVICE_HOST=10.96.0.1") || s.Env[len(s.Env)-1] != "X=1" {
		t.Errorf("environment %q", s.Env)
	}
	if s.ShimGroup != "uid" || s.ResolvedImage != "full/img" || s.WorkingDir != "/w" || !s.TTY || !s.Stdin || !s.StdinOnce || s.Hostname != "p" ||
		s.Namespaces.Net != "/sb/net" || !s.MessageFromLog || s.Resources.CgroupPath != "cg/"+id || s.Sysctls["a.b"] != "1" {
		t.Errorf("%+v", s)
	}
	if st, err := os.Stat(s.TerminationMessage); err != nil || st.Mode().Perm() != 0o666 {
		t.Errorf("termination message file: %v, %v", st, err)
	}
}

// TestMounts: by where the container sees them.
func TestMounts(t *testing.T) {
	g, _ := newGenerator(t)
	v := g.Volumes.(volumes)
	if err := os.Mkdir(v.dir+"/rw", 0o755); err != nil {
		t.Fatal(err)
	}
	generate := func(edit func(*corev1.Pod, *corev1.Container)) map[string]container.Mount {
		s, err := g.Generate(t.Context(), incarnation(edit))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]container.Mount{}
		for _, m := range s.Mounts {
			out[m.ContainerPath] = m
		}
		return out
	}
	plain := generate(func(*corev1.Pod, *corev1.Container) {})
	for at, host := range map[string]string{"/etc/hosts": "/etc-hosts", "/etc/hostname": "/hostname", "/etc/resolv.conf": "/resolv.conf", "/dev/termination-log": "/termination/c-2"} {
		if m := plain[at]; m.HostPath != g.Layout.Pod("uid")+host || m.ReadOnly {
			t.Errorf("%s is %+v", at, m)
		}
	}
	if m := plain["/dev/shm"]; m.HostPath != "/sb/shm" || len(plain) != 5 {
		t.Errorf("/dev/shm is %+v, in all %d mounts", m, len(plain))
	}
	all := generate(func(_ *corev1.Pod, c *corev1.Container) {
		c.Env = []corev1.EnvVar{{Name: "POD", Value: "p1"}}
		c.SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: ptr.To(true)}
		c.TerminationMessagePath = "/own/log"
		c.VolumeMounts = []corev1.VolumeMount{
			{Name: "rw", MountPath: "/a", MountPropagation: ptr.To(corev1.MountPropagationBidirectional)}, {Name: "rw", MountPath: "/b", ReadOnly: true}, {Name: "ro", MountPath: "/c"},
			{Name: "rw", MountPath: "/d", SubPath: "sub"}, {Name: "rw", MountPath: "/e", SubPathExpr: "$(POD)/x"},
			{Name: "rw", MountPath: "/etc/hosts/"}, {Name: "rw", MountPath: "/dev/shm"},
			{Name: "host", MountPath: "/h", MountPropagation: ptr.To(corev1.MountPropagationHostToContainer)},
			{Name: "host", MountPath: "/i", SubPath: "sub", MountPropagation: ptr.To(corev1.MountPropagationBidirectional)},
			{Name: "ro", MountPath: "/r", ReadOnly: true, RecursiveReadOnly: ptr.To(corev1.RecursiveReadOnlyEnabled)},
			{Name: "ro", MountPath: "/s", ReadOnly: true, RecursiveReadOnly: ptr.To(corev1.RecursiveReadOnlyIfPossible)},
			{Name: "ro", MountPath: "/t", ReadOnly: true, RecursiveReadOnly: ptr.To(corev1.RecursiveReadOnlyDisabled)},
		}
	})
	for at, want := range map[string]container.Mount{
		"/a": {HostPath: v.dir + "/rw", Propagation: corev1.MountPropagationBidirectional}, "/b": {HostPath: v.dir + "/rw", ReadOnly: true}, "/c": {HostPath: v.dir + "/ro", ReadOnly: true},
		"/d": {HostPath: "/binds/3"}, "/e": {HostPath: "/binds/4"}, "/dev/shm": {HostPath: v.dir + "/rw"},
		"/h": {HostPath: "/binds/7", Propagation: corev1.MountPropagationHostToContainer}, "/i": {HostPath: "/binds/8", Propagation: corev1.MountPropagationBidirectional},
		"/r": {HostPath: v.dir + "/ro", ReadOnly: true, RecursiveReadOnly: true}, "/s": {HostPath: v.dir + "/ro", ReadOnly: true, RecursiveReadOnly: true}, "/t": {HostPath: v.dir + "/ro", ReadOnly: true},
		"/etc/hostname": {HostPath: g.Layout.Pod("uid") + "/hostname", ReadOnly: true}, "/own/log": {HostPath: g.Layout.TerminationMessage("uid", "c", 2)},
	} {
		want.ContainerPath = at
		if volume := at[0] == '/' && len(at) == 2 || at == "/dev/shm"; volume && want.Propagation == "" {
			want.Propagation = corev1.MountPropagationNone
		}
		if got := all[at]; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	// What others may change is mounted once it is opened, a subPath without what is below.
	for at, want := range map[string]string{
		"/binds/3": fmt.Sprintf("%s/sub of uid/c {false %d}", v.dir, unix.MS_PRIVATE), "/binds/4": fmt.Sprintf("%s/p1/x of uid/c {false %d}", v.dir, unix.MS_PRIVATE),
		"/binds/7": fmt.Sprintf("%s of uid/c {true %d}", v.dir, unix.MS_SLAVE), "/binds/8": fmt.Sprintf("%s/sub of uid/c {false %d}", v.dir, unix.MS_SHARED),
	} {
		if got := g.Binds.(binds)[at]; got != want {
			t.Errorf("%s is %s, want %s", at, got, want)
		}
	}
	if got := len(g.Binds.(binds)); got != 4 {
		t.Errorf("%d are mounted for the container, want 4", got)
	}
	g.Features.RecursiveReadOnly = false
	old := func(mode corev1.RecursiveReadOnlyMode) Incarnation {
		return incarnation(func(_ *corev1.Pod, c *corev1.Container) {
			c.VolumeMounts = []corev1.VolumeMount{{Name: "ro", MountPath: "/r", ReadOnly: true, RecursiveReadOnly: &mode}}
		})
	}
	if _, err := g.Generate(t.Context(), old(corev1.RecursiveReadOnlyEnabled)); err == nil || !strings.Contains(err.Error(), "the kernel of this node cannot make mounts read-only recursively") {
		t.Errorf("what the kernel cannot do: %v", err)
	}
	if s, err := g.Generate(t.Context(), old(corev1.RecursiveReadOnlyIfPossible)); err != nil || !s.Mounts[0].ReadOnly || s.Mounts[0].RecursiveReadOnly {
		t.Errorf("if possible, where it is not: %v", err)
	}
	if _, ours := all["/etc/hosts"]; ours {
		t.Error("/etc/hosts is mounted over the pod's own")
	}
	for _, m := range []corev1.VolumeMount{{Name: "none"}, {Name: "rw", SubPath: "../x"}} {
		if _, err := g.Generate(t.Context(), incarnation(func(_ *corev1.Pod, c *corev1.Container) { c.VolumeMounts = []corev1.VolumeMount{m} })); err == nil {
			t.Errorf("%+v is mounted", m)
		}
	}
}

// TestSubPathExpr: what is left of an expression without its variables is not mounted.
func TestSubPathExpr(t *testing.T) {
	for expr, want := range map[string]string{
		"$(NO)": "missing value for NO", "$(EMPTY)": "missing value for EMPTY", "$(NO)/x$(EMPTY)$(NO)": "missing value for EMPTY, NO",
		"$(HOSTNAME)": "missing value for HOSTNAME", "$(ROOT)": "must not be an absolute path", "/x": "must not be an absolute path",
		"$(UP)": "must not contain '..'", "a/$(UP)/b": "must not contain '..'", "$(POD)": "", "$(POD)..x": "", "$$(NO)": "",
	} {
		g, _ := newGenerator(t)
		_, err := g.Generate(t.Context(), incarnation(func(_ *corev1.Pod, c *corev1.Container) {
			c.Env = []corev1.EnvVar{{Name: "POD", Value: "p1"}, {Name: "EMPTY"}, {Name: "ROOT", Value: "/etc"}, {Name: "UP", Value: ".."}}
			c.VolumeMounts = []corev1.VolumeMount{{Name: "rw", MountPath: "/e", SubPathExpr: expr}}
		}))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", expr, err, want)
		}
	}
}

func TestRunAsNonRoot(t *testing.T) {
	for name, c := range map[string]struct {
		user, image *int64
		want        bool
	}{
		"an image of root": {nil, ptr.To[int64](0), false}, "as root": {ptr.To[int64](0), ptr.To[int64](0), false}, "as a user": {ptr.To[int64](5), ptr.To[int64](0), true},
		"an image of a user": {nil, ptr.To[int64](5), true}, "an image of a name": {nil, nil, true}, // looked up by the runtime
	} {
		g, _ := newGenerator(t)
		in := incarnation(func(_ *corev1.Pod, c2 *corev1.Container) {
			c2.SecurityContext = &corev1.SecurityContext{RunAsNonRoot: ptr.To(true), RunAsUser: c.user}
		})
		in.Image.User = c.image
		if _, err := g.Generate(t.Context(), in); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSources: each object is read once; one that does not exist is for the variable to
// judge; an API that does not answer is an error.
func TestSources(t *testing.T) {
	refer := func(name string) func(*corev1.Pod, *corev1.Container) {
		return func(p *corev1.Pod, c *corev1.Container) {
			p.Spec.EnableServiceLinks = nil
			r := corev1.LocalObjectReference{Name: name}
			c.EnvFrom = []corev1.EnvFromSource{{Prefix: "C", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: r}}, {Prefix: "S", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: r}}}
			c.Env = []corev1.EnvVar{
				{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: r, Key: "k"}}},
				{Name: "B", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: r, Key: "k"}}},
			}
		}
	}
	g, a := newGenerator(t)
	s, err := g.Generate(t.Context(), incarnation(refer("there")))
	if err != nil || !reflect.DeepEqual(a.reads, []string{"configmap there", "secret there"}) {
		t.Errorf("%v, read %q", err, a.reads)
	}
	for _, want := range []string{"Ck=cm", "Sk=sec", "A=cm", "B=sec", "MY_DB_SERVICE_HOST=10.96.0.2", "MY_DB_PORT_53_UDP_PROTO=udp", "KUBERNETES_SERVICE_PORT_HTTPS=443"} {
		if !slices.Contains(s.Env, want) {
			t.Errorf("%s is not in %q", want, s.Env)
		}
	}
	if slices.ContainsFunc(s.Env, func(e string) bool {
		return strings.HasPrefix(e, "X_") || strings.HasPrefix(e, "HEADLESS") || strings.HasPrefix(e, "NEW")
	}) {
		t.Errorf("Services of other namespaces, or without an address, are in %q", s.Env)
	}
	if _, err := g.Generate(t.Context(), incarnation(refer("none"))); err == nil || err.Error() != `configmap "none" not found` {
		t.Errorf("an object that does not exist: %v", err)
	}
	a.err = errors.New("away")
	if _, err := g.Generate(t.Context(), incarnation(refer("there"))); err == nil || !strings.Contains(err.Error(), "fetch what the environment refers to: away") {
		t.Errorf("an API that is away: %v", err)
	}
}

// TestWithoutServices: a cluster that is being made does not have the API's own yet.
func TestWithoutServices(t *testing.T) {
	g, _ := newGenerator(t)
	g.Services = corelisters.NewServiceLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}))
	s, err := g.Generate(t.Context(), incarnation(func(p *corev1.Pod, _ *corev1.Container) { p.Spec.EnableServiceLinks = nil }))
	if err != nil || !reflect.DeepEqual(s.Env, []string{"HOSTNAME=p"}) || s.Sysctls != nil {
		t.Errorf("environment %q, sysctls %v, %v", s.Env, s.Sysctls, err)
	}
}
