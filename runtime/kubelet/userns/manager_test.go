package userns

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

func podOf(t *testing.T, l poddir.Layout, uid string) *corev1.Pod {
	t.Helper()
	if err := os.MkdirAll(l.Pod(uid), 0o750); err != nil {
		t.Fatal(err)
	}
	p := &corev1.Pod{Spec: corev1.PodSpec{HostUsers: ptr.To(false)}}
	p.UID = types.UID(uid)
	return p
}

func usersOf(t *testing.T, m *Manager, p *corev1.Pod) container.Users {
	t.Helper()
	u, err := m.Users(p)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestNoTwoPodsShareUsers(t *testing.T) {
	l := poddir.Layout{Root: t.TempDir()}
	m := NewManager(l)
	var pods []*corev1.Pod
	for i := range 50 {
		pods = append(pods, podOf(t, l, fmt.Sprint(i)))
	}
	var asking sync.WaitGroup
	for _, p := range pods {
		asking.Go(func() {
			if _, err := m.Users(p); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	owner := map[uint32]string{}
	check := func(when string, m *Manager, pods []*corev1.Pod) {
		t.Helper()
		clear(owner)
		for _, p := range pods {
			u := usersOf(t, m, p)
			if !valid(u) || u.First < 1<<16 {
				t.Errorf("%s: pod %s has %+v", when, p.UID, u)
			}
			if other, ok := owner[u.First]; ok {
				t.Errorf("%s: pods %s and %s share %+v", when, other, p.UID, u)
			}
			owner[u.First] = string(p.UID)
		}
	}
	check("at first", m, pods)
	before := map[string]container.Users{}
	for _, p := range pods {
		before[string(p.UID)] = usersOf(t, m, p)
	}
	// A new process finds them, also those of pods that nobody asked for yet.
	m = NewManager(l)
	pods = append([]*corev1.Pod{podOf(t, l, "new")}, pods...)
	check("after a restart", m, pods)
	for uid, u := range before {
		if got := usersOf(t, m, podOf(t, l, uid)); got != u {
			t.Errorf("pod %s had %+v and has %+v", uid, u, got)
		}
	}
	// What is free again is given again.
	if err := os.RemoveAll(l.Pod("7")); err != nil {
		t.Fatal(err)
	}
	m.Forget("7")
	if got := usersOf(t, m, podOf(t, l, "next")); got != before["7"] {
		t.Errorf("after pod 7 is gone %+v is given, and not its %+v", got, before["7"])
	}
}

func TestAPodOfTheServersUsersHasNone(t *testing.T) {
	l := poddir.Layout{Root: t.TempDir()}
	for _, hostUsers := range []*bool{nil, ptr.To(true)} {
		p := podOf(t, l, "u")
		p.Spec.HostUsers = hostUsers
		if u := usersOf(t, NewManager(l), p); u.Own() {
			t.Errorf("it has %+v", u)
		}
		if _, err := os.Stat(filepath.Join(l.Pod("u"), file)); err == nil {
			t.Error("users are kept for it")
		}
	}
}

// Whose range is not known could have been given twice: then nobody gets one.
func TestAFileThatIsNotUnderstood(t *testing.T) {
	for _, text := range []string{"", "{", `{"First":0,"Count":65536}`, `{"First":1879048193,"Count":65536}`, `{"First":1879048192,"Count":1}`, `{"First":2147352576,"Count":65536}`} {
		l := poddir.Layout{Root: t.TempDir()}
		podOf(t, l, "broken")
		if err := os.WriteFile(filepath.Join(l.Pod("broken"), file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if u, err := NewManager(l).Users(podOf(t, l, "u")); err == nil {
			t.Errorf("beside %q: %+v", text, u)
		}
	}
}

func TestThereIsAnEndOfUsers(t *testing.T) {
	l := poddir.Layout{Root: t.TempDir()}
	m := NewManager(l)
	m.given = map[string]container.Users{}
	for i := range uint32(Ranges) {
		m.given[fmt.Sprint(i)] = container.Users{First: First + i*Size, Count: Size}
	}
	if u, err := m.Users(podOf(t, l, "u")); err == nil {
		t.Errorf("the pod has %+v", u)
	}
	m.Forget("4093") // the last
	if u := usersOf(t, m, podOf(t, l, "u")); !valid(u) || u.First+u.Count != 2_147_352_576 {
		t.Errorf("the last range is %+v", u)
	}
}
