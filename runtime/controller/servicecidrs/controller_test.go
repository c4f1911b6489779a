package servicecidrs

import (
	"slices"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func cidr(name string, cidrs ...string) *networkingv1.ServiceCIDR {
	return &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{finalizer}}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: cidrs}}
}

// deleted was asked to go so long before the clock's start.
func deleted(c *networkingv1.ServiceCIDR, ago time.Duration) *networkingv1.ServiceCIDR {
	c.DeletionTimestamp = &metav1.Time{Time: controllertest.Start.Add(-ago)}
	return c
}

func address(ip string) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{networkingv1.LabelManagedBy: managedBy}}}
}

func TestReconcile(t *testing.T) {
	fresh := cidr("a", "10.1.0.0/24")
	fresh.Finalizers = []string{"x/y"}
	others := address("10.1.0.5")
	others.Labels = nil
	for what, tt := range map[string]struct {
		objects []runtime.Object
		ready   metav1.ConditionStatus // "" where nothing is said
		kept    bool                   // by the finalizer
		again   time.Duration
	}{
		"a new one":                         {[]runtime.Object{fresh}, metav1.ConditionTrue, true, 0},
		"one that is there":                 {[]runtime.Object{cidr("a", "10.1.0.0/24"), address("10.1.0.5")}, metav1.ConditionTrue, true, 0},
		"deleted, and nothing holds it":     {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace)}, "", false, 0},
		"deleted a moment ago":              {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace-time.Second)}, "", true, time.Second},
		"an address holds it":               {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace), address("10.1.0.5")}, metav1.ConditionFalse, true, recheck},
		"an address of the second holds it": {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24", "fd00::/112"), grace), address("fd00::5")}, metav1.ConditionFalse, true, recheck},
		"an address elsewhere":              {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace), address("10.2.0.5")}, "", false, 0},
		"an address that is no Service's":   {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace), others}, "", false, 0},
		"the network's own address":         {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace), address("10.1.0.0")}, "", false, 0},
		"another has the range":             {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace), cidr("b", "10.1.0.0/24"), address("10.1.0.5")}, "", false, 0},
		"another has a wider one":           {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace), cidr("b", "10.1.0.0/16"), address("10.1.0.5")}, "", false, 0},
		"another has a part, with it":       {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace), cidr("b", "10.1.0.0/28"), address("10.1.0.5")}, "", false, 0},
		"another has a part, without it":    {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24"), grace), cidr("b", "10.1.0.0/28"), address("10.1.0.15")}, metav1.ConditionFalse, true, recheck},
		"another has one range of its two":  {[]runtime.Object{deleted(cidr("a", "10.1.0.0/24", "fd00::/112"), grace), cidr("b", "10.1.0.0/24"), address("fd00::5")}, metav1.ConditionFalse, true, recheck},
	} {
		f := controllertest.New(tt.objects...)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		again, err := r.reconcile(t.Context(), "a")
		if err != nil || again != tt.again {
			t.Errorf("%s: again in %s, %v", what, again, err)
		}
		got, err := f.API.NetworkingV1().ServiceCIDRs().Get(t.Context(), "a", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if kept := slices.Contains(got.Finalizers, finalizer); kept != tt.kept {
			t.Errorf("%s: finalizers %v", what, got.Finalizers)
		}
		var ready metav1.ConditionStatus
		if c := meta.FindStatusCondition(got.Status.Conditions, networkingv1.ServiceCIDRConditionReady); c != nil {
			ready = c.Status
		}
		if ready != tt.ready {
			t.Errorf("%s: ready %q, want %q", what, ready, tt.ready)
		}
	}
}

func TestWhatIsSaidAlreadyIsNotWritten(t *testing.T) {
	f := controllertest.New(cidr("a", "10.1.0.0/24"))
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	if _, err := r.reconcile(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"update servicecidrs/status a"}; !slices.Equal(f.Writes(), want) {
		t.Errorf("%q", f.Writes())
	}
	said, err := f.API.NetworkingV1().ServiceCIDRs().Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.API.ClearActions()
	if err := r.say(t.Context(), said, metav1.Condition{Status: metav1.ConditionTrue, Message: "Kubernetes Service CIDR is ready"}); err != nil || len(f.Writes()) != 0 {
		t.Errorf("%v, %q", err, f.Writes())
	}
}
