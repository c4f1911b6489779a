package scheduler

import (
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// world is a loop with a model of the API: bindings and status patches are written to
// pods, and the loop's handlers see them when the test says so.
type world struct {
	*testing.T
	*loop
	clk *clocktesting.FakeClock

	mu       sync.Mutex
	pods     map[string]*corev1.Pod
	bindings []string // "pod on node"
	deleted  []string
	refuse   func(pod string) error // of a binding
	// refusePatch is the same of a patch of a status.
	refusePatch func(pod string) error
	recorder    *record.FakeRecorder
}

func newWorld(t *testing.T, more ...core.WeightedPlugin) *world {
	w := &world{T: t, clk: clocktesting.NewFakeClock(time.Unix(0, 0)), pods: map[string]*corev1.Pod{}, recorder: record.NewFakeRecorder(1000)}
	w.refuse = func(string) error { return nil }
	w.refusePatch = w.refuse
	profiles, err := newProfiles(nil, append(core.DefaultPlugins(core.Volumes{}, core.Devices{}), more...))
	if err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientset()
	c.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		b := a.(clienttesting.CreateAction).GetObject().(*corev1.Binding)
		w.mu.Lock()
		defer w.mu.Unlock()
		if err := w.refuse(b.Name); err != nil {
			return true, nil, err
		}
		p := w.pods[b.Name].DeepCopy()
		p.Spec.NodeName = b.Target.Name
		w.pods[b.Name] = p
		w.bindings = append(w.bindings, b.Name+" on "+b.Target.Name)
		return true, b, nil
	})
	c.PrependReactor("patch", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		was := w.pods[a.(clienttesting.PatchAction).GetName()]
		if was == nil {
			return true, nil, apierrors.NewNotFound(corev1.Resource("pods"), a.(clienttesting.PatchAction).GetName())
		}
		if err := w.refusePatch(was.Name); err != nil {
			return true, nil, err
		}
		p, err := patched(was, a.(clienttesting.PatchAction).GetPatch())
		if err != nil {
			return true, nil, err
		}
		w.pods[p.Name] = p
		return true, p, nil
	})
	c.PrependReactor("delete", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		p := w.pods[a.(clienttesting.DeleteAction).GetName()].DeepCopy()
		p.DeletionTimestamp = &metav1.Time{Time: w.clk.Now()}
		w.pods[p.Name] = p
		w.deleted = append(w.deleted, p.Name)
		return true, nil, nil
	})
	w.loop = newLoop(c, w.recorder, w.clk, profiles, func(int) int { return 0 }, slog.New(slog.DiscardHandler))
	return w
}

// patched is a pod after a patch of its status.
func patched(p *corev1.Pod, patch []byte) (*corev1.Pod, error) {
	before, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, corev1.Pod{})
	if err != nil {
		return nil, err
	}
	out := &corev1.Pod{}
	return out, json.Unmarshal(after, out)
}

func node(name, cpu string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}}, Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}}}
}

func (w *world) create(name, cpu string, priority int32) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name)},
		Spec: corev1.PodSpec{SchedulerName: corev1.DefaultSchedulerName, Priority: &priority, Containers: []corev1.Container{{
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}},
		}}},
	}
	w.pods[name] = p
	w.setPod(nil, p)
	return p
}

// see shows the loop a pod as the API has it.
func (w *world) see(name string) {
	w.mu.Lock()
	p := w.pods[name]
	w.mu.Unlock()
	w.setPod(nil, p)
}

// schedule runs cycles until no pod is active, and waits for their bindings.
func (w *world) schedule() {
	w.Helper()
	w.cycles()
	w.wg.Wait()
}

func (w *world) cycles() {
	for {
		qp, pod, _ := w.queue.pop()
		if qp == nil {
			return
		}
		w.scheduleOne(w.Context(), w.Context(), qp, pod)
	}
}

func (w *world) expect(bindings ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.bindings)
	if !slices.Equal(w.bindings, bindings) {
		w.Fatalf("bound: %q, want %q", w.bindings, bindings)
	}
}
