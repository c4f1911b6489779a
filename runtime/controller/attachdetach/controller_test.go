package attachdetach

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func TestWhatIsAttachedAndDetached(t *testing.T) {
	name1, name2 := attachmentName(volume(), "n1"), attachmentName(volume(), "n2")
	many := func(v *corev1.PersistentVolume) {
		v.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	}
	leaving := func(a *storagev1.VolumeAttachment) {
		a.DeletionTimestamp, a.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"f"}
	}
	later := func(p *corev1.Pod) { p.CreationTimestamp = metav1.Unix(9, 0) }
	for name, tt := range map[string]struct {
		objects []runtime.Object
		writes  []string
		events  []string
		again   bool
	}{
		"a pod comes":               {objects: []runtime.Object{volume(), claim(), user("p", "n1"), host("n1")}, writes: []string{"create volumeattachments " + name1}},
		"a pod without a node":      {objects: []runtime.Object{volume(), claim(), user("p", ""), host("n1")}},
		"a pod that has ended":      {objects: []runtime.Object{volume(), claim(), user("p", "n1", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), host("n1")}},
		"a claim of its name":       {objects: []runtime.Object{volume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "other" }), claim(), user("p", "n1"), host("n1")}},
		"a claim of another volume": {objects: []runtime.Object{volume(), &corev1.PersistentVolumeClaim{ObjectMeta: claim().ObjectMeta}, user("p", "n1"), host("n1")}},
		"a driver that is not attached": {objects: []runtime.Object{volume(), claim(), user("p", "n1"), host("n1"),
			&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "d"}, Spec: storagev1.CSIDriverSpec{AttachRequired: ptr.To(false)}}}},
		"a driver that is": {objects: []runtime.Object{volume(), claim(), user("p", "n1"), host("n1"),
			&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "d"}, Spec: storagev1.CSIDriverSpec{AttachRequired: ptr.To(true)}}}, writes: []string{"create volumeattachments " + name1}},
		"it is attached": {objects: []runtime.Object{volume(), claim(), user("p", "n1"), host("n1"), attachment("n1")}, writes: []string{"patch nodes/status n1"},
			events: []string{`Normal SuccessfulAttachVolume AttachVolume.Attach succeeded for volume "pv" `}},
		"it was told":       {objects: []runtime.Object{volume(), claim(), user("p", "n1"), host("n1", told), attachment("n1")}},
		"not attached yet":  {objects: []runtime.Object{volume(), claim(), user("p", "n1"), host("n1"), attachment("n1", func(a *storagev1.VolumeAttachment) { a.Status.Attached = false })}},
		"not attached more": {objects: []runtime.Object{volume(), claim(), user("p", "n1"), host("n1", told), attachment("n1", leaving)}, writes: []string{"patch nodes/status n1"}},
		"it fails": {objects: []runtime.Object{volume(), claim(), user("p", "n1"), host("n1"), attachment("n1", func(a *storagev1.VolumeAttachment) {
			a.Status.Attached, a.Status.AttachError = false, &storagev1.VolumeError{Message: "no room"}
		})}, events: []string{`Warning FailedAttachVolume AttachVolume.Attach failed for volume "pv" : no room`}},
		"the pod is gone":                {objects: []runtime.Object{volume(), claim(), host("n1", told), attachment("n1")}, writes: []string{"delete volumeattachments " + name1, "patch nodes/status n1"}},
		"the pod is gone, still mounted": {objects: []runtime.Object{volume(), claim(), host("n1", told, uses), attachment("n1")}},
		"the node does not live":         {objects: []runtime.Object{volume(), claim(), host("n1", told, uses, dead), attachment("n1")}, again: true},
		"the node is out of service": {objects: []runtime.Object{volume(), claim(), host("n1", told, uses, dead, func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}}
		}), attachment("n1")}, writes: []string{"delete volumeattachments " + name1, "patch nodes/status n1"}},
		"the node is gone": {objects: []runtime.Object{volume(), claim(), attachment("n1")}, again: true},
		"the pod is deleted and runs": {objects: []runtime.Object{volume(), claim(), host("n1", told), attachment("n1"), user("p", "n1", func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"f"}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		})}},
		"the pod is deleted and does not run": {objects: []runtime.Object{volume(), claim(), host("n1", told), attachment("n1"), user("p", "n1", func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"f"}
		})}, writes: []string{"delete volumeattachments " + name1, "patch nodes/status n1"}},
		"it moves": {objects: []runtime.Object{volume(), claim(), user("q", "n2"), host("n1", told), host("n2"), attachment("n1")},
			writes: []string{"delete volumeattachments " + name1, "patch nodes/status n1"},
			events: []string{`Warning FailedAttachVolume Waiting for detach for volume "pv" Volume is already exclusively attached to one node, waiting on detach before it can be attached to another node`}},
		"two nodes want it": {objects: []runtime.Object{volume(), claim(), user("p", "n1"), user("q", "n2", later), host("n1"), host("n2")}, writes: []string{"create volumeattachments " + name1},
			events: []string{`Warning FailedAttachVolume Waiting for detach for volume "pv" Volume is already used by pod(s) p`}},
		"two nodes may have it":     {objects: []runtime.Object{volume(many), claim(), user("p", "n1"), user("q", "n2"), host("n1"), host("n2"), attachment("n1")}, writes: []string{"create volumeattachments " + name2, "patch nodes/status n1"}, events: []string{`Normal SuccessfulAttachVolume AttachVolume.Attach succeeded for volume "pv" `}},
		"an attachment of a user's": {objects: []runtime.Object{volume(), claim(), host("n1"), attachment("n1", func(a *storagev1.VolumeAttachment) { a.Name = "mine" })}},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, tt.objects...)
			again := c.reconcileAll()
			if got := c.Writes(); !slices.Equal(got, tt.writes) {
				t.Errorf("wrote %q, want %q", got, tt.writes)
			}
			if got := c.Told(); !slices.Equal(got, tt.events) {
				t.Errorf("told %q, want %q", got, tt.events)
			}
			if (again > 0) != tt.again {
				t.Errorf("again after %s", again)
			}
			c.caughtUp()
			c.API.ClearActions()
			c.reconcileAll()
			if again := c.Told(); len(again) > 0 && !strings.Contains(name, "moves") {
				t.Errorf("told again %q", again)
			}
		})
	}
}

// TestANodeThatDoesNotLive keeps a volume that it uses for six minutes, not longer.
func TestANodeThatDoesNotLive(t *testing.T) {
	c := start(t, volume(), claim(), host("n1", told, uses, dead), attachment("n1"))
	if again := c.reconcileAll(); again != unmountPatience+time.Second {
		t.Errorf("again after %s", again)
	}
	c.Clock.Step(unmountPatience)
	if c.reconcileAll(); len(c.Writes()) > 0 {
		t.Errorf("wrote %q", c.Writes())
	}
	c.Clock.Step(time.Second)
	c.reconcileAll()
	if got := c.Writes(); !slices.Equal(got, []string{"delete volumeattachments " + attachmentName(volume(), "n1"), "patch nodes/status n1"}) {
		t.Errorf("wrote %q", got)
	}
}

// TestNothingIsWatchedWithoutDrivers: a cluster without their volumes has no more informers.
func TestNothingIsWatchedWithoutDrivers(t *testing.T) {
	f := controllertest.New(volume(func(v *corev1.PersistentVolume) {
		v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/x"}}
	}), claim(), user("p", "n1"), host("n1"))
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	select {
	case <-r.first:
		t.Error("it begins to watch")
	default:
	}
	if again, err := r.reconcile(t.Context(), key{volume: "x"}); again != 0 || err != nil || len(f.API.Actions()) > 0 {
		t.Errorf("%s, %v, %v", again, err, f.API.Actions())
	}
}

// TestAnyHistory: pods come and go on nodes, drivers and nodes do their part at any time. A
// volume of one node is never attached to two, one that is mounted is never detached, and in
// the end all have theirs, and nothing is left once they have gone.
func TestAnyHistory(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c, rnd := start(t, volume(), claim(), host("n1"), host("n2")), rand.New(rand.NewPCG(seed, 1))
			mounted := map[string]bool{}
			node := func(name string) *corev1.Node {
				n, err := c.API.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			pods := func(on string) (out []corev1.Pod) {
				list, _ := c.API.CoreV1().Pods("n").List(t.Context(), metav1.ListOptions{})
				for _, p := range list.Items {
					if p.Spec.NodeName == on {
						out = append(out, p)
					}
				}
				return out
			}
			attachments := func() map[string]storagev1.VolumeAttachment {
				out := map[string]storagev1.VolumeAttachment{}
				list, _ := c.API.StorageV1().VolumeAttachments().List(t.Context(), metav1.ListOptions{})
				for _, a := range list.Items {
					out[a.Spec.NodeName] = a
				}
				return out
			}
			kubelet := func(name string) { // a step: it says what it uses, or mounts, or unmounts
				n, wants := node(name), len(pods(name)) > 0
				inUse := slices.Contains(n.Status.VolumesInUse, unique)
				attached := slices.Contains(n.Status.VolumesAttached, corev1.AttachedVolume{Name: unique})
				switch {
				case wants && !inUse:
					uses(n)
				case wants && attached && !mounted[name]:
					if a, ok := attachments()[name]; ok && a.Status.Attached {
						mounted[name] = true
					}
					return
				case !wants && mounted[name]:
					mounted[name] = false
					return
				case !wants && inUse:
					n.Status.VolumesInUse = nil
				default:
					return
				}
				if _, err := c.API.CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			driver := func() {
				for _, a := range attachments() {
					a.Status.Attached = true
					if _, err := c.API.StorageV1().VolumeAttachments().UpdateStatus(t.Context(), &a, metav1.UpdateOptions{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			check := func() {
				all := attachments()
				if len(all) > 1 {
					t.Fatalf("attached to two nodes: %v", all)
				}
				for name, is := range mounted {
					if _, ok := all[name]; is && !ok {
						t.Fatalf("detached from %s while it is mounted", name)
					}
				}
			}
			names := 0
			for range 150 {
				name := []string{"n1", "n2"}[rnd.IntN(2)]
				switch rnd.IntN(6) {
				case 0:
					names++
					p := user(fmt.Sprint("p", names), name)
					if _, err := c.API.CoreV1().Pods("n").Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
						t.Fatal(err)
					}
				case 1:
					for _, p := range pods(name) {
						_ = c.API.CoreV1().Pods("n").Delete(t.Context(), p.Name, metav1.DeleteOptions{})
					}
				case 2:
					kubelet(name)
				case 3:
					driver()
				case 4:
					c.caughtUp()
					fallthrough
				default: // as far as the caches are
					c.reconcileAll()
				}
				check()
			}
			for range 8 {
				kubelet("n1")
				kubelet("n2")
				c.caughtUp()
				c.reconcileAll()
				driver()
				check()
			}
			for name := range attachments() {
				if len(pods(name)) > 0 != mounted[name] {
					t.Errorf("mounted are %v, pods of %s %d", mounted, name, len(pods(name)))
				}
			}
			if len(pods("n1"))+len(pods("n2")) > 0 && len(attachments()) != 1 {
				t.Error("pods wait and nothing is attached")
			}
			for _, name := range []string{"n1", "n2"} {
				for _, p := range pods(name) {
					_ = c.API.CoreV1().Pods("n").Delete(t.Context(), p.Name, metav1.DeleteOptions{})
				}
			}
			for range 8 {
				kubelet("n1")
				kubelet("n2")
				c.caughtUp()
				c.reconcileAll()
				driver()
				check()
			}
			if left := attachments(); len(left) > 0 || len(node("n1").Status.VolumesAttached)+len(node("n2").Status.VolumesAttached) > 0 {
				t.Errorf("left are %v", left)
			}
			if len(c.detaching)+len(c.made) > 1 {
				t.Errorf("remembered are %v, %v", c.detaching, c.made)
			}
		})
	}
}
