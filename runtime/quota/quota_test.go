package quota

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	apiquota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
)

var now = time.Unix(10_000, 0)

// list reads "cpu=1 memory=64Mi".
func list(s string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for _, f := range strings.Fields(s) {
		name, q, _ := strings.Cut(f, "=")
		out[corev1.ResourceName(name)] = resource.MustParse(q)
	}
	return out
}

// text is the reverse, by name, without what is zero.
func text(l corev1.ResourceList) string {
	var out []string
	for name, q := range l {
		if !q.IsZero() {
			out = append(out, string(name)+"="+q.String())
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func podOf(containers ...corev1.Container) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "p"}, Spec: corev1.PodSpec{Containers: containers}}
}

func container(requests, limits string) corev1.Container {
	return corev1.Container{Name: "c", Resources: corev1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}}
}

func TestPodUsage(t *testing.T) {
	with := func(change func(*corev1.Pod)) *corev1.Pod {
		p := podOf(container("cpu=100m", "cpu=200m"))
		change(p)
		return p
	}
	const whole = "count/pods=1 cpu=100m limits.cpu=200m pods=1 requests.cpu=100m"
	for name, tt := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"nothing":   {podOf(container("", "")), "count/pods=1 pods=1"},
		"cpu":       {podOf(container("cpu=100m", "cpu=200m")), whole},
		"memory":    {podOf(container("memory=1Mi", "memory=2Mi")), "count/pods=1 limits.memory=2Mi memory=1Mi pods=1 requests.memory=1Mi"},
		"disk":      {podOf(container("ephemeral-storage=1Mi", "ephemeral-storage=2Mi")), "count/pods=1 ephemeral-storage=1Mi limits.ephemeral-storage=2Mi pods=1 requests.ephemeral-storage=1Mi"},
		"hugepages": {podOf(container("hugepages-2Mi=4Mi", "hugepages-2Mi=4Mi")), "count/pods=1 hugepages-2Mi=4Mi pods=1 requests.hugepages-2Mi=4Mi"},
		"a device":  {podOf(container("example.com/gpu=2", "example.com/gpu=2")), "count/pods=1 pods=1 requests.example.com/gpu=2"},
		"of a device class": {podOf(container("deviceclass.resource.kubernetes.io/gpu=1", "deviceclass.resource.kubernetes.io/gpu=1")),
			"count/pods=1 pods=1 requests.deviceclass.resource.kubernetes.io/gpu=1"},
		"another of Kubernetes' own": {podOf(container("kubernetes.io/x=2", "kubernetes.io/x=2")), "count/pods=1 pods=1"},
		"two containers":             {podOf(container("cpu=100m", ""), container("cpu=50m", "")), "count/pods=1 cpu=150m pods=1 requests.cpu=150m"},
		"a first step": {with(func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{container("cpu=1", "cpu=1")} }),
			"count/pods=1 cpu=1 limits.cpu=1 pods=1 requests.cpu=1"},
		"of the pod as a whole": {with(func(p *corev1.Pod) {
			p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("cpu=3"), Limits: list("cpu=4")}
		}), "count/pods=1 cpu=3 limits.cpu=4 pods=1 requests.cpu=3"},
		"overhead":  {with(func(p *corev1.Pod) { p.Spec.Overhead = list("cpu=1") }), "count/pods=1 cpu=1100m limits.cpu=1200m pods=1 requests.cpu=1100m"},
		"ended":     {with(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), "count/pods=1"},
		"failed":    {with(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), "count/pods=1"},
		"leaving":   {with(func(p *corev1.Pod) { leaves(p, now.Add(-30*time.Second), 30) }), whole},
		"lingering": {with(func(p *corev1.Pod) { leaves(p, now.Add(-30*time.Second-1), 30) }), "count/pods=1"},
	} {
		if got := text(PodUsage(tt.pod, now)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

func leaves(p *corev1.Pod, at time.Time, grace int64) {
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &metav1.Time{Time: at}, &grace
}

func TestPodConstraints(t *testing.T) {
	named := func(name, requests, limits string) corev1.Container {
		c := container(requests, limits)
		c.Name = name
		return c
	}
	own := podOf(container("", ""))
	own.Spec.Resources = &corev1.ResourceRequirements{Requests: list("cpu=1")}
	withInit := podOf(named("b", "", ""), named("a", "cpu=1", ""))
	withInit.Spec.InitContainers = []corev1.Container{named("i", "", "")}
	for name, tt := range map[string]struct {
		hard string
		pod  *corev1.Pod
		want string
	}{
		"all said":        {"cpu=1 limits.memory=1", podOf(container("cpu=1", "memory=1")), ""},
		"nothing needed":  {"pods=1 requests.ephemeral-storage=1 requests.example.com/gpu=1", podOf(container("", "")), ""},
		"missing":         {"cpu=1 requests.memory=1", withInit, "must specify cpu for: b,i; requests.memory for: a,b,i"},
		"said by the pod": {"cpu=1 limits.memory=1", own, ""},
	} {
		err := pods(Unlisted, clocktesting.NewFakePassiveClock(now)).Constraints(apiquota.ResourceNames(list(tt.hard)), tt.pod)
		if got := ""; err != nil {
			if got = err.Error(); got != tt.want {
				t.Errorf("%s: %s", name, got)
			}
		} else if tt.want != "" {
			t.Errorf("%s: let in", name)
		}
	}
}

func TestScopes(t *testing.T) {
	term := corev1.PodAffinityTerm{Namespaces: []string{"other"}}
	with := func(change func(*corev1.Pod)) *corev1.Pod {
		p := podOf(container("cpu=1", ""))
		change(p)
		return p
	}
	plain := with(func(*corev1.Pod) {})
	classy := with(func(p *corev1.Pod) { p.Spec.PriorityClassName = "high" })
	affine := func(a *corev1.Affinity) *corev1.Pod {
		return with(func(p *corev1.Pod) { p.Spec.Affinity = a })
	}
	claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: ptr.To("gold")}}
	moving := claim.DeepCopy()
	moving.Status = corev1.PersistentVolumeClaimStatus{CurrentVolumeAttributesClassName: ptr.To("gold"),
		ModifyVolumeStatus: &corev1.ModifyVolumeStatus{TargetVolumeAttributesClassName: "silver"}}
	const exists, absent, in, notIn = corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist, corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn
	tests := []struct {
		scope  corev1.ResourceQuotaScope
		op     corev1.ScopeSelectorOperator
		values string
		obj    runtime.Object
		want   bool
	}{
		{corev1.ResourceQuotaScopeBestEffort, exists, "", podOf(container("", "")), true},
		{corev1.ResourceQuotaScopeBestEffort, exists, "", plain, false},
		{corev1.ResourceQuotaScopeNotBestEffort, exists, "", podOf(container("", "")), false},
		{corev1.ResourceQuotaScopeNotBestEffort, exists, "", plain, true},
		{corev1.ResourceQuotaScopeTerminating, exists, "", with(func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr.To[int64](0) }), true},
		{corev1.ResourceQuotaScopeTerminating, exists, "", plain, false},
		{corev1.ResourceQuotaScopeNotTerminating, exists, "", plain, true},
		{corev1.ResourceQuotaScopePriorityClass, exists, "", classy, true},
		{corev1.ResourceQuotaScopePriorityClass, exists, "", plain, false},
		{corev1.ResourceQuotaScopePriorityClass, absent, "", plain, true},
		{corev1.ResourceQuotaScopePriorityClass, absent, "", classy, false},
		{corev1.ResourceQuotaScopePriorityClass, in, "low high", classy, true},
		{corev1.ResourceQuotaScopePriorityClass, in, "low", classy, false},
		{corev1.ResourceQuotaScopePriorityClass, in, "low", plain, false},
		{corev1.ResourceQuotaScopePriorityClass, notIn, "low", classy, true},
		{corev1.ResourceQuotaScopePriorityClass, notIn, "high", classy, false},
		{corev1.ResourceQuotaScopePriorityClass, notIn, "high", plain, true},
		{corev1.ResourceQuotaScopeCrossNamespacePodAffinity, exists, "", plain, false},
		{corev1.ResourceQuotaScopeCrossNamespacePodAffinity, exists, "", affine(&corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{}}}}), false},
		{corev1.ResourceQuotaScopeCrossNamespacePodAffinity, exists, "", affine(&corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{}, term}}}), true},
		{corev1.ResourceQuotaScopeCrossNamespacePodAffinity, exists, "", affine(&corev1.Affinity{PodAffinity: &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{PodAffinityTerm: term}}}}), true},
		{corev1.ResourceQuotaScopeCrossNamespacePodAffinity, exists, "", affine(&corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{NamespaceSelector: &metav1.LabelSelector{}}}}}), true},
		{corev1.ResourceQuotaScopeCrossNamespacePodAffinity, exists, "", affine(&corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{PodAffinityTerm: term}}}}), true},
		{corev1.ResourceQuotaScopeVolumeAttributesClass, exists, "", claim, true},
		{corev1.ResourceQuotaScopeVolumeAttributesClass, exists, "", &corev1.PersistentVolumeClaim{}, false},
		{corev1.ResourceQuotaScopeVolumeAttributesClass, in, "silver", claim, false},
		{corev1.ResourceQuotaScopeVolumeAttributesClass, in, "silver", moving, true},
		{corev1.ResourceQuotaScopeVolumeAttributesClass, notIn, "gold", claim, false},
		{corev1.ResourceQuotaScopeVolumeAttributesClass, exists, "", plain, false},
		{corev1.ResourceQuotaScopeBestEffort, exists, "", claim, false},
	}
	registry := generic.NewRegistry(Evaluators(Unlisted, clocktesting.NewFakePassiveClock(now)))
	for _, tt := range tests {
		gr := corev1.Resource("pods")
		if _, ok := tt.obj.(*corev1.PersistentVolumeClaim); ok {
			gr = corev1.Resource("persistentvolumeclaims")
		}
		s := corev1.ScopedResourceSelectorRequirement{ScopeName: tt.scope, Operator: tt.op, Values: strings.Fields(tt.values)}
		got, err := registry.Get(gr).MatchingScopes(tt.obj, []corev1.ScopedResourceSelectorRequirement{s})
		if err != nil || (len(got) == 1) != tt.want {
			t.Errorf("%s %s %q of %T: %v %v", tt.scope, tt.op, tt.values, tt.obj, got, err)
		}
	}
	bad := corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: "Near"}
	if _, err := registry.Get(corev1.Resource("pods")).MatchingScopes(plain, []corev1.ScopedResourceSelectorRequirement{bad}); err == nil {
		t.Error("an operator that does not exist selects")
	}
	if got, err := registry.Get(corev1.Resource("pods")).UncoveredQuotaScopes([]corev1.ScopedResourceSelectorRequirement{{ScopeName: "a"}, {ScopeName: "b"}},
		[]corev1.ScopedResourceSelectorRequirement{{ScopeName: "b"}}); err != nil || len(got) != 1 || got[0].ScopeName != "a" {
		t.Errorf("%v %v", got, err)
	}
}

func TestServiceUsage(t *testing.T) {
	ports := []corev1.ServicePort{{Port: 80}, {Port: 81, NodePort: 30001}}
	for name, tt := range map[string]struct {
		spec corev1.ServiceSpec
		want string
	}{
		"within the cluster": {corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: ports}, "count/services=1 services=1"},
		"on nodes":           {corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: ports}, "count/services=1 services.nodeports=2 services=1"},
		"behind a balancer":  {corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: ports}, "count/services=1 services.loadbalancers=1 services.nodeports=2 services=1"},
		"behind one that needs no nodes": {corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: ports, AllocateLoadBalancerNodePorts: ptr.To(false)},
			"count/services=1 services.loadbalancers=1 services.nodeports=1 services=1"},
		"elsewhere": {corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName}, "count/services=1 services=1"},
	} {
		if got := text(ServiceUsage(&corev1.Service{Spec: tt.spec})); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	a, b := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: ports}}, &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: ports[:1]}}
	if !ServiceChanged(a, b) || ServiceChanged(a, a) {
		t.Error("a port less is a change")
	}
}

func TestClaimUsage(t *testing.T) {
	claim := func(class, size, allocated string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: list(size)}},
			Status: corev1.PersistentVolumeClaimStatus{AllocatedResources: list(allocated)}}
		if class != "" {
			c.Spec.StorageClassName = &class
		}
		return c
	}
	const one = "count/persistentvolumeclaims=1 "
	for name, tt := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		want  string
	}{
		"of no class": {claim("", "storage=1Gi", ""), one + "persistentvolumeclaims=1 requests.storage=1Gi"},
		"of a class": {claim("gold", "storage=1Gi", ""),
			one + "gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/requests.storage=1Gi persistentvolumeclaims=1 requests.storage=1Gi"},
		"in whole bytes":            {claim("", "storage=1500m", ""), one + "persistentvolumeclaims=1 requests.storage=2"},
		"growing":                   {claim("", "storage=1Gi", "storage=2Gi"), one + "persistentvolumeclaims=1 requests.storage=2Gi"},
		"allocated for less before": {claim("", "storage=3Gi", "storage=2Gi"), one + "persistentvolumeclaims=1 requests.storage=3Gi"},
		"of no size":                {claim("", "", ""), one + "persistentvolumeclaims=1"},
	} {
		if got := text(ClaimUsage(tt.claim)); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	small, large := claim("", "storage=1Gi", "storage=1Gi"), claim("", "storage=1Gi", "storage=2Gi")
	if !ClaimChanged(small, large) || ClaimChanged(small, small.DeepCopy()) || ClaimChanged(small, claim("", "storage=5Gi", "storage=1024Mi")) {
		t.Error("a claim changes with what is allocated")
	}
}

func TestDeviceUsage(t *testing.T) {
	request := func(name, class string, mode resourcev1.DeviceAllocationMode, count int64) resourcev1.DeviceSubRequest {
		return resourcev1.DeviceSubRequest{Name: name, DeviceClassName: class, AllocationMode: mode, Count: count}
	}
	exactly := func(class string, mode resourcev1.DeviceAllocationMode, count int64) resourcev1.DeviceRequest {
		return resourcev1.DeviceRequest{Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class, AllocationMode: mode, Count: count}}
	}
	const count, all, one = resourcev1.DeviceAllocationModeExactCount, resourcev1.DeviceAllocationModeAll, "count/resourceclaims.resource.k8s.io=1"
	for name, tt := range map[string]struct {
		requests []resourcev1.DeviceRequest
		want     string
	}{
		"nothing":      {nil, one},
		"some":         {[]resourcev1.DeviceRequest{exactly("gpu", count, 2), exactly("gpu", count, 1), exactly("nic", count, 1)}, one + " gpu.deviceclass.resource.k8s.io/devices=3 nic.deviceclass.resource.k8s.io/devices=1"},
		"all":          {[]resourcev1.DeviceRequest{exactly("gpu", all, 0)}, one + " gpu.deviceclass.resource.k8s.io/devices=32"},
		"alternatives": {[]resourcev1.DeviceRequest{exactly("gpu", count, 1), {FirstAvailable: []resourcev1.DeviceSubRequest{request("a", "gpu", count, 4), request("b", "gpu", count, 2), request("c", "nic", all, 0)}}}, one + " gpu.deviceclass.resource.k8s.io/devices=5 nic.deviceclass.resource.k8s.io/devices=32"},
	} {
		if got := text(DeviceUsage(&resourcev1.ResourceClaim{Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: tt.requests}}})); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	registry := generic.NewRegistry(Evaluators(Unlisted, clocktesting.NewFakePassiveClock(now)))
	e := registry.Get(resourcev1.Resource("resourceclaims"))
	if got := e.MatchingResources([]corev1.ResourceName{"pods", "gpu.deviceclass.resource.k8s.io/devices", "count/resourceclaims.resource.k8s.io", "requests.example.com/gpu"}); len(got) != 2 {
		t.Errorf("it counts towards %v", got)
	}
	for op, want := range map[admission.Operation]bool{admission.Create: true, admission.Update: true, admission.Delete: false} {
		for _, sub := range []string{"", "status"} {
			a := admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{}, "team", "x", resourcev1.SchemeGroupVersion.WithResource("resourceclaims"), sub, op, nil, false, nil)
			if e.Handles(a) != (want && sub == "") {
				t.Errorf("%s %s", op, sub)
			}
		}
	}
}

func TestMatchingResources(t *testing.T) {
	all := "pods count/pods cpu memory ephemeral-storage requests.cpu requests.memory requests.ephemeral-storage limits.cpu limits.memory limits.ephemeral-storage " +
		"hugepages-2Mi requests.hugepages-2Mi requests.example.com/gpu requests.deviceclass.resource.kubernetes.io/gpu " +
		"services count/services services.nodeports services.loadbalancers " +
		"persistentvolumeclaims count/persistentvolumeclaims requests.storage gold.storageclass.storage.k8s.io/requests.storage gold.storageclass.storage.k8s.io/persistentvolumeclaims " +
		"secrets count/secrets count/deployments.apps limits.example.com/gpu gold.storageclass.storage.k8s.io/pods requests.kubernetes.io/x"
	var names []corev1.ResourceName
	for _, n := range strings.Fields(all) {
		names = append(names, corev1.ResourceName(n))
	}
	registry := generic.NewRegistry(Evaluators(Unlisted, clocktesting.NewFakePassiveClock(now)))
	for resource, want := range map[string][]corev1.ResourceName{"pods": names[:15], "services": names[15:19], "persistentvolumeclaims": names[19:24]} {
		if got := registry.Get(corev1.Resource(resource)).MatchingResources(names); !slices.Equal(got, want) {
			t.Errorf("%s: %v", resource, got)
		}
	}
}

func TestHandles(t *testing.T) {
	deadline := podOf()
	deadline.Spec.ActiveDeadlineSeconds = ptr.To[int64](1)
	claim := &corev1.PersistentVolumeClaim{}
	grown := &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{AllocatedResources: list("storage=1")}}
	registry := generic.NewRegistry(Evaluators(Unlisted, clocktesting.NewFakePassiveClock(now)))
	for _, tt := range []struct {
		resource, subresource string
		op                    admission.Operation
		obj, old              runtime.Object
		want                  bool
	}{
		{"pods", "", admission.Create, podOf(), nil, true},
		{"pods", "", admission.Update, podOf(), podOf(), false},
		{"pods", "", admission.Update, deadline, podOf(), true},
		{"pods", "", admission.Delete, nil, podOf(), false},
		{"pods", "resize", admission.Update, podOf(), podOf(), true},
		{"pods", "status", admission.Update, deadline, podOf(), false},
		{"pods", "binding", admission.Create, &corev1.Binding{}, nil, false},
		{"services", "", admission.Create, &corev1.Service{}, nil, true},
		{"services", "", admission.Update, &corev1.Service{}, &corev1.Service{}, true},
		{"services", "status", admission.Update, &corev1.Service{}, &corev1.Service{}, false},
		{"services", "", admission.Delete, nil, &corev1.Service{}, false},
		{"persistentvolumeclaims", "", admission.Create, claim, nil, true},
		{"persistentvolumeclaims", "", admission.Update, claim, claim, true},
		{"persistentvolumeclaims", "status", admission.Update, claim, claim, false},
		{"persistentvolumeclaims", "status", admission.Update, grown, claim, true},
		{"persistentvolumeclaims", "", admission.Delete, nil, claim, false},
	} {
		a := admission.NewAttributesRecord(tt.obj, tt.old, schema.GroupVersionKind{}, "team", "x", corev1.SchemeGroupVersion.WithResource(tt.resource), tt.subresource, tt.op, nil, false, nil)
		if got := registry.Get(corev1.Resource(tt.resource)).Handles(a); got != tt.want {
			t.Errorf("%s %s/%s: %v", tt.op, tt.resource, tt.subresource, got)
		}
	}
}

func TestCounted(t *testing.T) {
	for name, want := range map[corev1.ResourceName]string{
		"secrets": "secrets", "configmaps": "configmaps", "replicationcontrollers": "replicationcontrollers", "resourcequotas": "resourcequotas",
		"count/secrets": "secrets", "count/deployments.apps": "deployments.apps", "count/widgets.example.com": "widgets.example.com",
		"pods": "", "count/pods": "", "count/services": "", "count/persistentvolumeclaims": "", "count/resourceclaims.resource.k8s.io": "", "cpu": "", "count/events": "", "count/events.events.k8s.io": "",
		"count/bindings": "", "requests.storage": "",
	} {
		gr, ok := Counted(name)
		if ok != (want != "") || ok && gr.String() != want {
			t.Errorf("%s: %s %v", name, gr, ok)
		}
	}
}

// Usage adds up what is in a quota's scopes, in its namespace.
func TestUsageStats(t *testing.T) {
	all := []runtime.Object{podOf(container("cpu=1", "")), podOf(container("cpu=2", "")), podOf(container("", ""))}
	e := pods(func(schema.GroupResource) generic.ListFuncByNamespace {
		return func(string) ([]runtime.Object, error) { return all, nil }
	}, clocktesting.NewFakePassiveClock(now))
	o := apiquota.UsageStatsOptions{Namespace: "team", Resources: []corev1.ResourceName{"pods", "requests.cpu"}}
	for scope, want := range map[corev1.ResourceQuotaScope]string{"": "pods=3 requests.cpu=3", "BestEffort": "pods=1", "NotBestEffort": "pods=2 requests.cpu=3"} {
		if o.Scopes = nil; scope != "" {
			o.Scopes = []corev1.ResourceQuotaScope{scope}
		}
		got, err := e.UsageStats(o)
		if err != nil || text(apiquota.Mask(got.Used, o.Resources)) != want {
			t.Errorf("%s: %s %v", scope, text(got.Used), err)
		}
	}
	if _, err := e.Usage(&corev1.Service{}); err == nil {
		t.Error("a Service costs as a pod does")
	}
}
