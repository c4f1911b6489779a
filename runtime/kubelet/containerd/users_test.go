package containerd

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// TestUsersOfItsOwn: the namespace, every mount of the pod and the layers are of one range.
func TestUsersOfItsOwn(t *testing.T) {
	want := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1 << 20, Size: 1 << 16}}
	for _, c := range []struct {
		users container.Users
		ns    string
		want  []specs.LinuxIDMapping
	}{{container.Users{}, "", nil}, {container.Users{First: 1 << 20, Count: 1 << 16}, "/ns/user", want}} {
		spec := container.Spec{
			Users: c.users, Namespaces: container.Namespaces{Net: "/ns/net", User: c.ns},
			Mounts: []container.Mount{{HostPath: "/a", ContainerPath: "/a"}, {HostPath: "/b", ContainerPath: "/b", ReadOnly: true}},
		}
		s := &specs.Spec{Linux: &specs.Linux{}}
		if err := errors.Join(withNamespaces(spec.Namespaces)(t.Context(), nil, nil, s), withUsers(spec.Users)(t.Context(), nil, nil, s), withMounts(spec)(t.Context(), nil, nil, s)); err != nil {
			t.Fatal(err)
		}
		path := ""
		for _, ns := range s.Linux.Namespaces {
			if ns.Type == specs.UserNamespace {
				path = ns.Path
			}
		}
		if path != c.ns || !reflect.DeepEqual(s.Linux.UIDMappings, c.want) || !reflect.DeepEqual(s.Linux.GIDMappings, c.want) {
			t.Errorf("%+v: namespace %q, users %v, groups %v", c.users, path, s.Linux.UIDMappings, s.Linux.GIDMappings)
		}
		for _, m := range s.Mounts {
			want := c.want
			if m.Type != "bind" {
				want = nil // of the container's own
			}
			if !reflect.DeepEqual(m.UIDMappings, want) || !reflect.DeepEqual(m.GIDMappings, want) {
				t.Errorf("%+v: the mount at %s maps %v and %v", c.users, m.Destination, m.UIDMappings, m.GIDMappings)
			}
		}
		var info snapshots.Info
		for _, o := range layerOptions(c.users) {
			if err := o(&info); err != nil {
				t.Fatal(err)
			}
		}
		label := ""
		if c.want != nil {
			label = "0:1048576:65536"
		}
		if info.Labels[snapshots.LabelSnapshotUIDMapping] != label || info.Labels[snapshots.LabelSnapshotGIDMapping] != label {
			t.Errorf("%+v: the layers map %v", c.users, info.Labels)
		}
	}
}

func TestADiskThatDoesNotExistYet(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{dir, dir}, {dir + "/a", dir}, {dir + "/a/b", dir}, {dir + "/file", dir + "/file"}, {"/", "/"}} {
		if got := existing(c[0]); got != c[1] {
			t.Errorf("%s: %s, want %s", c[0], got, c[1])
		}
	}
}
