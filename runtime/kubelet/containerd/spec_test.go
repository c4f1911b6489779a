package containerd

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/containers"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// TestUserAndGroups: of an image in which user me (1000) is in the group of 50000.
func TestUserAndGroups(t *testing.T) {
	root := t.TempDir()
	for file, content := range map[string]string{
		"etc/passwd": "root:x:0:0::/:\nme:x:1000:1000::/:\n", "etc/group": "root:x:0:\nwheel:x:10:root\nme:x:1000:\nextra:x:50000:me\n",
	} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	me, group := ptr.To[int64](1000), ptr.To[int64](3000)
	for name, c := range map[string]struct {
		sec      container.Security
		image    string
		uid, gid uint32
		groups   []uint32
	}{
		"merged":               {container.Security{User: me, Group: group, Groups: []int64{4000}, ImageGroups: true}, "", 1000, 3000, []uint32{3000, 4000, 50000}},
		"strict":               {container.Security{User: me, Group: group, Groups: []int64{4000}}, "", 1000, 3000, []uint32{3000, 4000}},
		"another user":         {container.Security{User: ptr.To[int64](7), Group: group, ImageGroups: true}, "", 7, 3000, []uint32{3000}},
		"the image's":          {container.Security{ImageGroups: true}, "me", 1000, 1000, []uint32{1000, 50000}},
		"the image's, a group": {container.Security{ImageGroups: true, Group: group}, "me:root", 1000, 3000, []uint32{3000, 50000}},
		"root":                 {container.Security{User: ptr.To[int64](0), Groups: []int64{4000}, ImageGroups: true}, "me", 0, 0, []uint32{0, 4000}},
		"an image of root":     {container.Security{ImageGroups: true}, "root", 0, 0, nil},
	} {
		s := &specs.Spec{Process: &specs.Process{}, Root: &specs.Root{Path: root}, Linux: &specs.Linux{}}
		for _, o := range userOptions(c.sec, c.image) {
			if err := o(t.Context(), nil, &containers.Container{}, s); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		u := s.Process.User
		slices.Sort(u.AdditionalGids)
		if u.UID != c.uid || u.GID != c.gid || !reflect.DeepEqual(u.AdditionalGids, c.groups) {
			t.Errorf("%s: %+v, want %d:%d %v", name, u, c.uid, c.gid, c.groups)
		}
	}
}

func TestCommandLine(t *testing.T) {
	img := ocispec.ImageConfig{Entrypoint: []string{"entry"}, Cmd: []string{"cmd"}}
	for _, c := range []struct {
		command, args []string
		img           ocispec.ImageConfig
		want          []string
	}{
		{nil, nil, img, []string{"entry", "cmd"}},
		{nil, []string{"a"}, img, []string{"entry", "a"}},
		{[]string{"c"}, nil, img, []string{"c"}},
		{[]string{"c"}, []string{"a"}, img, []string{"c", "a"}},
		{nil, nil, ocispec.ImageConfig{}, nil},
	} {
		got, err := commandLine(container.Spec{Command: c.command, Args: c.args}, c.img)
		if !reflect.DeepEqual(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%v %v: %v, %v, want %v", c.command, c.args, got, err, c.want)
		}
	}
}

// TestMountsCoverTheDefaults: parents before children, and each at most once.
func TestMountsCoverTheDefaults(t *testing.T) {
	s := &specs.Spec{Linux: &specs.Linux{}, Mounts: []specs.Mount{{Destination: "/dev/shm", Type: "tmpfs"}, {Destination: "/proc", Type: "proc"}}}
	c := container.Spec{Mounts: []container.Mount{
		{HostPath: "/h/inner", ContainerPath: "/data/inner", ReadOnly: true}, {HostPath: "/h/shm", ContainerPath: "/dev/shm"},
		{HostPath: "/h/outer", ContainerPath: "/data/", Propagation: corev1.MountPropagationBidirectional},
	}}
	if err := withMounts(c)(t.Context(), nil, nil, s); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range s.Mounts {
		got = append(got, m.Destination+"="+m.Source)
	}
	if want := []string{"/proc=", "/sys/fs/cgroup=cgroup", "/data=/h/outer", "/data/inner=/h/inner", "/dev/shm=/h/shm"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	options := func(at string) []string {
		return s.Mounts[slices.IndexFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == at })].Options
	}
	if !slices.Contains(options("/data"), "rshared") || s.Linux.RootfsPropagation != "rshared" || !slices.Contains(options("/data/inner"), "ro") || !slices.Contains(options("/dev/shm"), "rprivate") {
		t.Errorf("options %v, %v, %v; of the root %s", options("/data"), options("/data/inner"), options("/dev/shm"), s.Linux.RootfsPropagation)
	}
}
