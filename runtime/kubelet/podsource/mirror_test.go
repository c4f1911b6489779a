package podsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/internal/patience"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

func cacheName(name string) cache.ObjectName { return cache.NewObjectName("default", name) }

// statuses is a model of what writes to the API: it keeps the phase of each pod by UID.
type statuses struct {
	api *fake.Clientset

	mu     sync.Mutex
	phases map[types.UID]corev1.PodPhase
	forgot []types.UID
	away   bool
}

var errAway = errors.New("the API is away")

func (s *statuses) Write(_ context.Context, p *corev1.Pod, status corev1.PodStatus) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errAway
	}
	s.phases[p.UID] = status.Phase
	return nil
}

func (s *statuses) Delete(ctx context.Context, p *corev1.Pod) error {
	s.mu.Lock()
	away := s.away
	s.mu.Unlock()
	if away {
		return errAway
	}
	have, err := s.api.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && have.UID != p.UID {
		return nil
	}
	if err != nil {
		return err
	}
	return s.api.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{})
}

func (s *statuses) Forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgot = append(s.forgot, uid)
}

func (s *statuses) phase(uid types.UID) corev1.PodPhase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phases[uid]
}

func (s *statuses) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// mirrored is a directory with one static pod, web-node, and its mirror.
type mirrored struct {
	*directory
	*Mirrors
	statuses *statuses
	static   *corev1.Pod
}

func newMirrored(t *testing.T, objects ...runtime.Object) *mirrored {
	t.Helper()
	api := fake.NewClientset(objects...)
	made := 0
	api.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		made++
		a.(clienttesting.CreateAction).GetObject().(*corev1.Pod).UID = types.UID(fmt.Sprint("made-", made))
		return false, nil, nil
	})
	pods := NewAPI(api, "Node")
	d := newDirectory(t)
	d.Static.mirrors = pods.Mirror
	m := &mirrored{directory: d, statuses: &statuses{api: api, phases: map[types.UID]corev1.PodPhase{}}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "Node", UID: "node-uid"}}
	m.Mirrors = &Mirrors{API: api, Node: func() (*corev1.Node, error) { return node, nil }, Pods: pods, Static: d.Static, Status: m.statuses, Log: quiet}
	pods.Start(t.Context())
	d.Start(t.Context())
	patience.Until(t, "the pods are known", pods.Synced)
	if err := errors.Join(d.Handle(d.told), m.Watch(t.Context())); err != nil {
		t.Fatal(err)
	}
	d.write("web.yaml", "web one")
	d.wantTold("web-node=one")
	m.static = d.latest("web-node")
	return m
}

// live is the mirror that the API has; nil: none.
func (m *mirrored) live() *corev1.Pod {
	m.t.Helper()
	p, err := m.API.CoreV1().Pods("default").Get(m.t.Context(), "web-node", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return p
}

// seen waits until the watch has shown that.
func (m *mirrored) seen(uid types.UID) {
	m.t.Helper()
	patience.Until(m.t, fmt.Sprintf("the watch shows %q", uid), func() bool {
		p := m.Pods.Mirror("default", "web-node")
		return p == nil && uid == "" || p != nil && p.UID == uid
	})
}

func (m *mirrored) report(phase corev1.PodPhase) {
	m.t.Helper()
	if err := m.Write(m.t.Context(), m.static, corev1.PodStatus{Phase: phase}); err != nil {
		m.t.Fatal(err)
	}
}

func TestAMirrorPod(t *testing.T) {
	m := newMirrored(t)
	m.report(corev1.PodPending)
	p := m.live()
	if p == nil || p.Annotations[corev1.MirrorPodAnnotationKey] != string(m.static.UID) || p.Annotations[podutil.ConfigSourceAnnotation] != "file" ||
		p.Spec.NodeName != "Node" || p.UID != "made-1" || m.statuses.phase("made-1") != corev1.PodPending {
		t.Fatalf("%+v", p)
	}
	if len(p.OwnerReferences) != 1 || p.OwnerReferences[0].Kind != "Node" || p.OwnerReferences[0].UID != "node-uid" || !*p.OwnerReferences[0].Controller || p.OwnerReferences[0].BlockOwnerDeletion != nil {
		t.Errorf("its owner is %+v", p.OwnerReferences)
	}
	if podutil.IsMirror(m.static) {
		t.Error("the static pod itself has become a mirror")
	}
	m.report(corev1.PodRunning) // whether the watch has shown it or not
	m.seen("made-1")
	m.report(corev1.PodSucceeded)
	if m.live().UID != "made-1" || m.statuses.phase("made-1") != corev1.PodSucceeded {
		t.Errorf("%+v", m.live())
	}
	if got := m.Pods.Pods(); len(got) != 0 || m.Pods.Pod("default", "web-node") != nil {
		t.Errorf("a mirror pod is to be run: %v", got)
	}
	// Somebody deletes it.
	if err := m.API.CoreV1().Pods("default").Delete(t.Context(), "web-node", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	m.seen("")
	m.wantRefreshed()
	m.report(corev1.PodRunning)
	m.seen("made-2")
	if m.statuses.phase("made-2") != corev1.PodRunning || !slices.Contains(m.statuses.forgot, "made-1") {
		t.Errorf("%+v", m.statuses)
	}
	// It is being deleted, and shows another file.
	for name, change := range map[string]func(*corev1.Pod){
		"it is being deleted":   func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Now()} },
		"it shows another file": func(p *corev1.Pod) { p.Annotations[corev1.MirrorPodAnnotationKey] = "another" },
	} {

		p := m.live()
		change(p)
		if _, err := m.API.CoreV1().Pods("default").Update(t.Context(), p, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		patience.Until(t, name+" is seen", func() bool {
			s := m.Pods.Mirror("default", "web-node")
			return s != nil && (s.DeletionTimestamp != nil || s.Annotations[corev1.MirrorPodAnnotationKey] == "another")
		})
		m.report(corev1.PodRunning)
		if now := m.live(); now == nil || now.UID == p.UID || now.DeletionTimestamp != nil || now.Annotations[corev1.MirrorPodAnnotationKey] != string(m.static.UID) {
			t.Errorf("%s: %+v", name, now)
		}
		m.seen(m.live().UID)
	}
	// Nothing of the static pod is left.
	if err := m.Mirrors.Delete(t.Context(), m.static); err != nil || m.live() != nil {
		t.Errorf("%v, %v", m.live(), err)
	}
}

// wantRefreshed waits until the static pod was handled anew.
func (m *mirrored) wantRefreshed() {
	m.t.Helper()
	patience.Until(m.t, "the static pod is handled anew", func() bool {
		m.told.mu.Lock()
		defer m.told.mu.Unlock()
		n := len(m.told.list)
		m.told.list = nil
		return n > 0
	})
}

// TestOfAPodThatEnds no mirror is made, and its end waits for no API.
func TestOfAPodThatEnds(t *testing.T) {
	m := newMirrored(t)
	m.static = leave(m.static)
	m.report(corev1.PodSucceeded)
	if m.live() != nil {
		t.Errorf("%+v", m.live())
	}
	m.static.DeletionTimestamp = nil
	m.report(corev1.PodRunning)
	m.static = leave(m.static)
	m.report(corev1.PodSucceeded)
	if m.statuses.phase("made-1") != corev1.PodSucceeded {
		t.Errorf("%v", m.statuses.phases)
	}
	m.statuses.setAway(true)
	m.report(corev1.PodFailed)
	m.write("web.yaml", "web two")
	m.wantLast("-web-node=one")
	if err := m.Mirrors.Delete(t.Context(), m.static); !errors.Is(err, errAway) {
		t.Errorf("%v", err)
	}
	m.wantLast("web-node=two") // all the same
	m.statuses.setAway(false)
	if err := m.Mirrors.Delete(t.Context(), m.static); err != nil || m.live() != nil {
		t.Errorf("%v, %v", m.live(), err)
	}
}

// TestMirrorsOfNoStaticPod are deleted; pods of the API are left to who writes their status.
func TestMirrorsOfNoStaticPod(t *testing.T) {
	orphan := apiPod("orphan", "o")
	orphan.Spec.NodeName = "Node"
	orphan.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "h"}
	plain := apiPod("plain", "p")
	m := newMirrored(t, orphan, plain)
	patience.Until(t, "the mirror of no static pod goes", func() bool { return m.Pods.Mirror("ns", "orphan") == nil })
	if err := m.Write(t.Context(), plain, corev1.PodStatus{Phase: corev1.PodRunning}); err != nil || m.statuses.phase("p") != corev1.PodRunning {
		t.Errorf("%v", err)
	}
	if err := m.Mirrors.Delete(t.Context(), plain); err != nil {
		t.Error(err)
	}
	if _, err := m.API.CoreV1().Pods("ns").Get(t.Context(), "plain", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is not deleted: %v", err)
	}
}

// TestTheAPIRefusesAMirror: the pod runs all the same.
func TestTheAPIRefusesAMirror(t *testing.T) {
	other := apiPod("web-node", "other")
	other.Namespace, other.Spec.NodeName = "default", "elsewhere"
	m := newMirrored(t, other)
	m.report(corev1.PodRunning)
	if p := m.live(); p.UID != "other" || m.statuses.phase("other") != "" {
		t.Errorf("%+v, %v", p, m.statuses.phases)
	}
	m.wantRefreshed() // it is tried again
	for _, want := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		if got := m.pause(m.static); got != want*time.Second {
			t.Errorf("the next pause is %s, want %d s", got, want)
		}
	}
	// As long as its node is not registered, that is what it waits for.
	m.Node = func() (*corev1.Node, error) { return nil, apierrors.NewNotFound(corev1.Resource("nodes"), "Node") }
	if err := m.Write(t.Context(), m.static, corev1.PodStatus{}); err == nil || !strings.Contains(err.Error(), "not registered yet") {
		t.Errorf("%v", err)
	}
}

// TestAPodOfTheAPIIsNotStatic, whatever it says.
func TestAPodOfTheAPIIsNotStatic(t *testing.T) {
	p := apiPod("a", "1")
	p.Annotations = map[string]string{podutil.ConfigSourceAnnotation: "file", "b": "c"}
	got, err := notStatic(p)
	if now := got.(*corev1.Pod); err != nil || podutil.IsStatic(now) || now.Annotations["b"] != "c" || !podutil.IsStatic(p) {
		t.Errorf("%+v, %v", now, err)
	}
	p.Annotations[corev1.MirrorPodAnnotationKey] = "h"
	if got, err := notStatic(p); err != nil || got != any(p) {
		t.Errorf("a mirror is %+v, %v", got, err)
	}
}
