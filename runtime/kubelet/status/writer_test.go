package status

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/addr"
)

var pods = schema.GroupResource{Resource: "pods"}

// api answers patches and deletions of one pod, and keeps the last of each.
func api(p *corev1.Pod, fail *error) (*fake.Clientset, *[]map[string]any, *[]metav1.DeleteOptions) {
	c := fake.NewClientset()
	var patches []map[string]any
	var deleted []metav1.DeleteOptions
	c.PrependReactor("patch", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		patch := map[string]any{}
		if err := json.Unmarshal(a.(clienttesting.PatchAction).GetPatch(), &patch); err != nil || a.GetSubresource() != "status" {
			return true, nil, errors.New("no patch of a status")
		}
		patches = append(patches, patch)
		return true, p.DeepCopy(), *fail
	})
	c.PrependReactor("delete", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		deleted = append(deleted, a.(clienttesting.DeleteActionImpl).DeleteOptions)
		return true, nil, *fail
	})
	return c, &patches, &deleted
}

func TestWriteSendsWhatChanged(t *testing.T) {
	p := testPod(always, nil, "a")
	p.ResourceVersion = "5"
	p.Status = Compute(viewOf(p), Facts{HostIPs: addr.MustIPs("1.1.1.1")})
	answer := p.DeepCopy()
	answer.ResourceVersion = "7"
	answer.Status = Compute(viewOf(p, runs), Facts{HostIPs: addr.MustIPs("1.1.1.1")})
	var fail error
	c, patches, _ := api(answer, &fail)
	w := NewWriter(c, NewEnds())
	write := func(when string, want int, s corev1.PodStatus) {
		t.Helper()
		if err := w.Write(t.Context(), p, s); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if len(*patches) != want {
			t.Errorf("%s: %d patches, want %d", when, len(*patches), want)
		}
	}
	write("nothing changed", 0, *p.Status.DeepCopy())
	v := viewOf(p, runs)
	v.Now = now.Add(time.Minute)
	later := viewOf(p)
	later.Now = now.Add(time.Minute)
	write("only times changed", 0, Compute(later, Facts{HostIPs: addr.MustIPs("1.1.1.1")}))
	write("it runs", 1, Compute(v, Facts{HostIPs: addr.MustIPs("1.1.1.1")}))
	patch := (*patches)[0]
	if patch["metadata"].(map[string]any)["uid"] != "uid" {
		t.Errorf("the patch may meet another pod of that name: %v", patch)
	}
	if _, same := patch["status"].(map[string]any)["hostIP"]; same {
		t.Errorf("what did not change is sent: %v", patch)
	}
	// The informer still has version 5: what was written counts.
	v.Now = now.Add(2 * time.Minute)
	write("written already", 1, Compute(v, Facts{HostIPs: addr.MustIPs("1.1.1.1")}))
	p.ResourceVersion = "9" // somebody wrote after that
	write("changed by another", 2, *answer.Status.DeepCopy())
	w.Forget(p.UID)
	p.ResourceVersion = "5"
	write("forgotten", 3, *answer.Status.DeepCopy())
}

func TestAPodThatIsGoneIsNoError(t *testing.T) {
	p := testPod(always, nil, "a")
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, true}, {apierrors.NewNotFound(pods, "p"), true}, {apierrors.NewConflict(pods, "p", errors.New("uid")), true}, {errors.New("away"), false},
	} {
		api, patches, deleted := api(p, &c.err)
		w := NewWriter(api, NewEnds())
		if err := w.Write(t.Context(), p, Compute(viewOf(p, runs), Facts{})); (err == nil) != c.want || len(*patches) != 1 {
			t.Errorf("%v: write %v", c.err, err)
		}
		if err := w.Delete(t.Context(), p); (err == nil) != c.want {
			t.Errorf("%v: delete %v", c.err, err)
		}
		if o := (*deleted)[0]; *o.GracePeriodSeconds != 0 || *o.Preconditions.UID != "uid" {
			t.Errorf("deleted with %+v", o)
		}
	}
}

// TestTimesThatTheAPICuts: it keeps whole seconds, and what differs by less is the same.
func TestTimesThatTheAPICuts(t *testing.T) {
	p := testPod(always, nil, "a")
	p.ResourceVersion = "5"
	at := func(d time.Duration) corev1.PodStatus {
		v := viewOf(p, runs)
		v.Containers["a"].StartedAt = now.Add(d)
		return Compute(v, Facts{StartTime: metav1.Time{Time: now.Add(d)}})
	}
	p.Status = at(0)
	var fail error
	c, patches, _ := api(p, &fail)
	w := NewWriter(c, NewEnds())
	for d, want := range map[time.Duration]int{time.Nanosecond: 0, time.Second - 1: 0, time.Second: 1} {
		*patches = nil
		w.Forget(p.UID)
		if err := w.Write(t.Context(), p, at(d)); err != nil || len(*patches) != want {
			t.Errorf("%s later: %d patches, %v, want %d", d, len(*patches), err, want)
		}
	}
}
