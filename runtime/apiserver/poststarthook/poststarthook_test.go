package poststarthook

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

func configured(change ...func(*config.APIServerConfig)) config.APIServerConfig {
	c := config.APIServerConfig{ClusterID: "id", ClusterName: "demo", ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16"), ClusterDNS: addr.MustIPs("10.96.0.10")}
	for _, f := range change {
		f(&c)
	}
	return c
}

func ensured(t *testing.T, api *fake.Clientset, c config.APIServerConfig) error {
	t.Helper()
	api.ClearActions()
	ctx := t.Context()
	return cmp.Or(Namespaces(ctx, api), ServiceRanges(ctx, api, c), Services(ctx, api, c, netip.MustParseAddr("10.96.0.1"), 6443), PriorityClasses(ctx, api), Cluster(ctx, api, c))
}

// writes are what was written since, as "verb resource".
func writes(api *fake.Clientset) []string {
	var out []string
	for _, a := range api.Actions() {
		if !slices.Contains([]string{"get", "list", "watch"}, a.GetVerb()) {
			out = append(out, a.GetVerb()+" "+a.GetResource().Resource)
		}
	}
	return out
}

// TestWhatEveryClusterHas is made once, whichever server begins, and changed by none that
// comes after.
func TestWhatEveryClusterHas(t *testing.T) {
	api := fake.NewClientset()
	if err := ensured(t, api, configured()); err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, a := range api.Actions() {
		if c, ok := a.(clienttesting.CreateAction); ok && a.GetVerb() == "create" {
			o, err := meta.Accessor(c.GetObject())
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, a.GetResource().Resource+" "+o.GetName())
		}
	}
	want := []string{
		"namespaces default", "namespaces kube-system", "namespaces kube-public", "namespaces kube-node-lease", "servicecidrs kubernetes", "services kubernetes", "services kube-dns",
		"priorityclasses system-cluster-critical", "priorityclasses system-node-critical", "csidrivers " + config.LocalDriver, "storageclasses " + config.LocalStorageClass, "configmaps gantry-cluster",
	}
	if !slices.Equal(made, want) {
		t.Errorf("made is\n%q", made)
	}
	if err := ensured(t, api, configured()); err != nil || len(writes(api)) > 0 {
		t.Errorf("the second time: %v, %q", err, writes(api))
	}
	class, err := api.StorageV1().StorageClasses().Get(t.Context(), config.LocalStorageClass, metav1.GetOptions{})
	if err != nil || !*class.AllowVolumeExpansion {
		t.Errorf("the class: %v, %v", class, err)
	}
	driver, err := api.StorageV1().CSIDrivers().Get(t.Context(), config.LocalDriver, metav1.GetOptions{})
	if err != nil || *driver.Spec.AttachRequired || *driver.Spec.PodInfoOnMount || !*driver.Spec.StorageCapacity {
		t.Errorf("the driver: %v, %v", driver, err)
	}
}

// TestWhatIsRefusedToTheFirst: a write that another server has just made is no failure, any
// other failure is one.
func TestWhatIsRefusedToTheFirst(t *testing.T) {
	for name, refused := range map[string]error{"another was faster": apierrors.NewAlreadyExists(schema.GroupResource{}, "x"), "no quorum": errors.New("no quorum")} {
		for _, resource := range []string{"namespaces", "services", "priorityclasses", "csidrivers", "storageclasses"} {
			api := fake.NewClientset()
			api.PrependReactor("create", resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, refused })
			if err := ensured(t, api, configured()); (err != nil) == apierrors.IsAlreadyExists(refused) {
				t.Errorf("%s, %s: %v", name, resource, err)
			}
		}
	}
}

// TestAnotherClustersDataIsNotServed.
func TestAnotherClustersDataIsNotServed(t *testing.T) {
	api := fake.NewClientset()
	if err := ensured(t, api, configured()); err != nil {
		t.Fatal(err)
	}
	err := ensured(t, api, configured(func(c *config.APIServerConfig) { c.ClusterID = "another" }))
	if err == nil || !strings.Contains(err.Error(), "etcd holds cluster id, and this server is configured for cluster another") {
		t.Errorf("%v", err)
	}
}

// TestTheClassOfTheLocalVolumes: it goes when it is switched off, unless it is somebody's.
func TestTheClassOfTheLocalVolumes(t *testing.T) {
	off := func(c *config.APIServerConfig) { c.DisableLocalStorageClass = true }
	class := func(labels map[string]string) *storagev1.StorageClass {
		return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: config.LocalStorageClass, UID: "u", Labels: labels}}
	}
	for name, tc := range map[string]struct {
		have    *storagev1.StorageClass
		off     bool
		refused error
		there   bool
		fails   bool
	}{
		"on":                     {there: true},
		"on, somebody's":         {have: class(nil), there: true},
		"off":                    {off: true},
		"off, and there is ours": {off: true, have: class(map[string]string{madeByUs: "gantry"})},
		"off, somebody's":        {off: true, have: class(nil), there: true},
		"off, of another tool":   {off: true, have: class(map[string]string{madeByUs: "helm"}), there: true},
		"off, just gone":         {off: true, have: class(map[string]string{madeByUs: "gantry"}), there: true, refused: apierrors.NewNotFound(schema.GroupResource{}, "x")},
		"off, and it stays":      {off: true, have: class(map[string]string{madeByUs: "gantry"}), there: true, refused: errors.New("no quorum"), fails: true},
	} {
		api := fake.NewClientset()
		if tc.have != nil {
			api = fake.NewClientset(tc.have)
		}
		api.PrependReactor("delete", "storageclasses", func(a clienttesting.Action) (bool, runtime.Object, error) {
			if uid := a.(clienttesting.DeleteActionImpl).DeleteOptions.Preconditions.UID; *uid != "u" {
				t.Errorf("%s: deleted is %s", name, *uid)
			}
			return tc.refused != nil, nil, tc.refused
		})
		c := configured()
		if tc.off {
			off(&c)
		}
		err := ensured(t, api, c)
		_, missing := api.StorageV1().StorageClasses().Get(t.Context(), config.LocalStorageClass, metav1.GetOptions{})
		if (missing == nil) != tc.there || (err != nil) != tc.fails {
			t.Errorf("%s: there %t, %v", name, missing == nil, err)
		}
	}
}

// TestTheConfiguredRangesAreReadyAtOnce, unless the API has others or says something of
// them already.
func TestTheConfiguredRangesAreReadyAtOnce(t *testing.T) {
	cidr := func(change func(*networkingv1.ServiceCIDR)) *networkingv1.ServiceCIDR {
		s := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/16"}}}
		change(s)
		return s
	}
	for name, tc := range map[string]struct {
		have  *networkingv1.ServiceCIDR
		ready bool
	}{
		"a new cluster":   {nil, true},
		"cut before that": {cidr(func(*networkingv1.ServiceCIDR) {}), true},
		"other ranges":    {cidr(func(s *networkingv1.ServiceCIDR) { s.Spec.CIDRs = []string{"10.0.0.0/16"} }), false},
		"more ranges":     {cidr(func(s *networkingv1.ServiceCIDR) { s.Spec.CIDRs = append(s.Spec.CIDRs, "fd00::/112") }), false},
		"it ends":         {cidr(func(s *networkingv1.ServiceCIDR) { s.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }), false},
		"it is said already": {cidr(func(s *networkingv1.ServiceCIDR) {
			s.Status.Conditions = []metav1.Condition{{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionFalse, Reason: "Terminating"}}
		}), false},
	} {
		api := fake.NewClientset()
		if tc.have != nil {
			api = fake.NewClientset(tc.have)
		}
		if err := serviceCIDR(t.Context(), api, addr.MustPrefixes("10.96.3.7/16")); err != nil {
			t.Fatal(err)
		}
		s, err := api.NetworkingV1().ServiceCIDRs().Get(t.Context(), "kubernetes", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := meta.IsStatusConditionTrue(s.Status.Conditions, networkingv1.ServiceCIDRConditionReady); got != tc.ready {
			t.Errorf("%s: ready %t", name, got)
		}
	}
}

// TestTheServicesOfTheCluster: the API's leads to its port; that of DNS has all addresses.
func TestTheServicesOfTheCluster(t *testing.T) {
	api := fake.NewClientset()
	if err := ensured(t, api, configured(func(c *config.APIServerConfig) { c.ClusterDNS = addr.MustIPs("10.96.0.10,fd00::10") })); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		namespace, ips string
		targets        []int32
	}{"kubernetes": {"default", "10.96.0.1", []int32{6443}}, "kube-dns": {"kube-system", "10.96.0.10 fd00::10", []int32{53, 53}}} {
		s, err := api.CoreV1().Services(want.namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var targets []int32
		for _, p := range s.Spec.Ports {
			targets = append(targets, p.TargetPort.IntVal)
		}
		if got := strings.Join(s.Spec.ClusterIPs, " "); got != want.ips || !slices.Equal(targets, want.targets) || s.Spec.Type != corev1.ServiceTypeClusterIP {
			t.Errorf("%s has %s, leads to %v", name, got, targets)
		}
	}
}
