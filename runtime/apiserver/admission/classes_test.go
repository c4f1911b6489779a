package admission

import (
	"context"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"
)

func runtimeClasses(list ...*nodev1.RuntimeClass) *RuntimeClass {
	return &RuntimeClass{Class: func(_ context.Context, name string) (*nodev1.RuntimeClass, error) {
		for _, c := range list {
			if c.Name == name {
				return c, nil
			}
		}
		if name == "away" {
			return nil, errAway
		}
		return nil, apierrors.NewNotFound(nodev1.Resource("runtimeclasses"), name)
	}}
}

func TestRuntimeClass(t *testing.T) {
	named := func(name string, o *nodev1.Overhead, s *nodev1.Scheduling) *nodev1.RuntimeClass {
		return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: name, Overhead: o, Scheduling: s}
	}
	gpu := corev1.Toleration{Key: "gpu", Operator: corev1.TolerationOpExists}
	mine := corev1.Toleration{Key: "mine", Operator: corev1.TolerationOpExists}
	p := runtimeClasses(
		named("plain", nil, nil),
		named("heavy", &nodev1.Overhead{PodFixed: amounts(t, "cpu=100m")}, nil),
		named("placed", nil, &nodev1.Scheduling{NodeSelector: map[string]string{"vm": "yes"}, Tolerations: []corev1.Toleration{gpu}}),
	)
	spec := func(class string, change func(*corev1.PodSpec)) corev1.PodSpec {
		s := corev1.PodSpec{}
		if class != "" {
			s.RuntimeClassName = &class
		}
		if change != nil {
			change(&s)
		}
		return s
	}
	over := func(q string) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) { s.Overhead = amounts(t, q) }
	}
	tests := []struct {
		name     string
		spec     corev1.PodSpec
		want     corev1.PodSpec
		admit    string // why it is refused when it is completed
		validate string // why afterwards
	}{
		{name: "none", spec: spec("", nil), want: spec("", nil)},
		{name: "of none, with overhead", spec: spec("", over("cpu=1")), want: spec("", over("cpu=1")), validate: "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"},
		{name: "without anything", spec: spec("plain", nil), want: spec("plain", nil)},
		{name: "without overhead", spec: spec("plain", over("cpu=1")), want: spec("plain", over("cpu=1")), validate: "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"},
		{name: "missing", spec: spec("none", nil), want: spec("none", nil), admit: `pod rejected: RuntimeClass "none" not found`, validate: `pod rejected: RuntimeClass "none" not found`},
		{name: "overhead", spec: spec("heavy", nil), want: spec("heavy", over("cpu=100m"))},
		{name: "the same overhead", spec: spec("heavy", over("cpu=0.1")), want: spec("heavy", over("cpu=100m"))},
		{name: "another overhead", spec: spec("heavy", over("cpu=1")), want: spec("heavy", over("cpu=1")),
			admit: "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead", validate: "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"},
		{name: "placement", spec: spec("placed", nil), want: spec("placed", func(s *corev1.PodSpec) {
			s.NodeSelector, s.Tolerations = map[string]string{"vm": "yes"}, []corev1.Toleration{gpu}
		})},
		{name: "placement beside the pod's", spec: spec("placed", func(s *corev1.PodSpec) {
			s.NodeSelector, s.Tolerations = map[string]string{"disk": "ssd", "vm": "yes"}, []corev1.Toleration{mine}
		}), want: spec("placed", func(s *corev1.PodSpec) {
			s.NodeSelector, s.Tolerations = map[string]string{"disk": "ssd", "vm": "yes"}, []corev1.Toleration{mine, gpu}
		})},
		{name: "placement against the pod's", spec: spec("placed", func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"vm": "no"} }),
			want:  spec("placed", func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"vm": "no"} }),
			admit: "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := pod(tt.spec)
			refused(t, p.Admit(t.Context(), creation(t, o), nil), tt.admit)
			if got, want := o.Spec.Overhead["cpu"], tt.want.Overhead["cpu"]; got.Cmp(want) != 0 {
				t.Errorf("overhead %s", got.String())
			}
			o.Spec.Overhead = tt.want.Overhead
			if !reflect.DeepEqual(o.Spec, tt.want) {
				t.Errorf("%+v", o.Spec)
			}
			refused(t, p.Validate(t.Context(), creation(t, o), nil), tt.validate)
		})
	}
	away := creation(t, pod(spec("away", nil)))
	if err := p.Admit(t.Context(), away, nil); outcomeOf(err) != broken {
		t.Error(err)
	}
	if err := p.Validate(t.Context(), away, nil); outcomeOf(err) != broken {
		t.Error(err)
	}
	update := write{op: admission.Update, resource: "pods", obj: pod(spec("none", nil)), old: pod(spec("none", nil))}.attributes(t)
	if err := p.Validate(t.Context(), update, nil); err != nil {
		t.Errorf("an update: %v", err)
	}
}

func TestMergeTolerations(t *testing.T) {
	tol := func(key string, op corev1.TolerationOperator, value string, effect corev1.TaintEffect, seconds *int64) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: op, Value: value, Effect: effect, TolerationSeconds: seconds}
	}
	const equal, exists, evict = corev1.TolerationOpEqual, corev1.TolerationOpExists, corev1.TaintEffectNoExecute
	everything, a := tol("", exists, "", "", nil), tol("a", equal, "1", "", nil)
	minute, hour := tol("a", exists, "", evict, ptr.To[int64](60)), tol("a", exists, "", evict, ptr.To[int64](3600))
	type list = []corev1.Toleration
	tests := []struct {
		name                string
		first, second, want list
	}{
		{"none", nil, nil, nil},
		{"the same", list{a}, list{a}, list{a}},
		{"all that there is, later", list{a}, list{everything}, list{everything}},
		{"all that there is, before", list{everything}, list{a, minute}, list{everything}},
		{"another value", list{a}, list{tol("a", equal, "2", "", nil)}, list{a, tol("a", equal, "2", "", nil)}},
		{"any value", list{a}, list{tol("a", exists, "", "", nil)}, list{tol("a", exists, "", "", nil)}},
		{"another key", list{a}, list{tol("b", exists, "", "", nil)}, list{a, tol("b", exists, "", "", nil)}},
		{"no key but a value", list{a}, list{tol("", equal, "1", "", nil)}, list{a, tol("", equal, "1", "", nil)}},
		{"one effect does not cover all", list{a}, list{tol("a", exists, "", evict, nil)}, list{a, tol("a", exists, "", evict, nil)}},
		{"longer", list{minute}, list{hour}, list{hour}},
		{"shorter", list{hour}, list{minute}, list{hour}},
		{"for ever is longer", list{tol("a", exists, "", evict, nil)}, list{hour}, list{tol("a", exists, "", evict, nil)}},
		{"an unknown operator", list{tol("a", "Gt", "1", "", nil)}, list{tol("a", "Gt", "2", "", nil)}, list{tol("a", "Gt", "1", "", nil), tol("a", "Gt", "2", "", nil)}},
	}
	for _, tt := range tests {
		if got := mergeTolerations(tt.first, tt.second); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func made(name string, at int64, annotations map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Unix(at, 0), Annotations: annotations}
}

func TestDefaultClasses(t *testing.T) {
	yes, no := "true", "false"
	tests := []struct {
		name    string
		classes []metav1.ObjectMeta // with the annotation's value in place of annotations
		want    string
	}{
		{"none", nil, ""},
		{"no default", []metav1.ObjectMeta{made("a", 1, nil), made("b", 2, map[string]string{"": no})}, ""},
		{"one", []metav1.ObjectMeta{made("a", 1, map[string]string{"": yes}), made("b", 2, nil)}, "a"},
		{"the newest", []metav1.ObjectMeta{made("a", 1, map[string]string{"": yes}), made("b", 3, map[string]string{"": yes}), made("c", 2, map[string]string{"": yes})}, "b"},
		{"of one second", []metav1.ObjectMeta{made("b", 1, map[string]string{"": yes}), made("a", 1, map[string]string{"": yes})}, "a"},
	}
	for _, tt := range tests {
		under := func(annotation string) []metav1.ObjectMeta {
			var out []metav1.ObjectMeta
			for _, m := range tt.classes {
				if v, ok := m.Annotations[""]; ok {
					m.Annotations = map[string]string{annotation: v}
				}
				out = append(out, m)
			}
			return out
		}
		for _, annotation := range []string{"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"} {
			p := &DefaultStorageClass{Classes: func(context.Context) ([]storagev1.StorageClass, error) {
				var out []storagev1.StorageClass
				for _, m := range under(annotation) {
					out = append(out, storagev1.StorageClass{ObjectMeta: m})
				}
				return out, nil
			}}
			claim := &corev1.PersistentVolumeClaim{}
			if err := p.Admit(t.Context(), write{resource: "persistentvolumeclaims", obj: claim}.attributes(t), nil); err != nil || ptr.Deref(claim.Spec.StorageClassName, "") != tt.want {
				t.Errorf("%s, %s: %v %v", tt.name, annotation, claim.Spec.StorageClassName, err)
			}
		}
		p := &DefaultIngressClass{Classes: func(context.Context) ([]networkingv1.IngressClass, error) {
			var out []networkingv1.IngressClass
			for _, m := range under("ingressclass.kubernetes.io/is-default-class") {
				out = append(out, networkingv1.IngressClass{ObjectMeta: m})
			}
			return out, nil
		}}
		ingress := &networkingv1.Ingress{}
		w := write{group: "networking.k8s.io", resource: "ingresses", obj: ingress}
		if err := p.Admit(t.Context(), w.attributes(t), nil); err != nil || ptr.Deref(ingress.Spec.IngressClassName, "") != tt.want {
			t.Errorf("%s: %v %v", tt.name, ingress.Spec.IngressClassName, err)
		}
	}
}

// Who names a class keeps it; the class "" of a claim is one.
func TestDefaultClassesAreOnlyDefaults(t *testing.T) {
	claims := &DefaultStorageClass{Classes: func(context.Context) ([]storagev1.StorageClass, error) { return nil, errAway }}
	ingresses := &DefaultIngressClass{Classes: func(context.Context) ([]networkingv1.IngressClass, error) { return nil, errAway }}
	claim := func(class *string, annotations map[string]string) write {
		return write{resource: "persistentvolumeclaims", obj: &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: class}}}
	}
	ingress := func(class *string, annotations map[string]string) write {
		return write{group: "networking.k8s.io", resource: "ingresses", obj: &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}, Spec: networkingv1.IngressSpec{IngressClassName: class}}}
	}
	tests := []struct {
		name   string
		plugin admission.MutationInterface
		write
		want outcome
	}{
		{"a claim of the default", claims, claim(nil, nil), forbidden},
		{"a claim of a class", claims, claim(ptr.To("gold"), nil), allowed},
		{"a claim of no class", claims, claim(ptr.To(""), nil), allowed},
		{"a claim of a class by annotation", claims, claim(nil, map[string]string{corev1.BetaStorageClassAnnotation: "gold"}), allowed},
		{"another kind", claims, write{resource: "pods", obj: pod(corev1.PodSpec{})}, allowed},
		{"an ingress of the default", ingresses, ingress(nil, nil), forbidden},
		{"an ingress of a class", ingresses, ingress(ptr.To("x"), nil), allowed},
		{"an ingress of a class by annotation", ingresses, ingress(nil, map[string]string{"kubernetes.io/ingress.class": ""}), allowed},
	}
	for _, tt := range tests {
		if got := outcomeOf(tt.plugin.Admit(t.Context(), tt.attributes(t), nil)); got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}

func TestClaimResize(t *testing.T) {
	p := &PersistentVolumeClaimResize{Class: func(_ context.Context, name string) (*storagev1.StorageClass, error) {
		switch name {
		case "grows":
			return &storagev1.StorageClass{AllowVolumeExpansion: ptr.To(true)}, nil
		case "stays":
			return &storagev1.StorageClass{AllowVolumeExpansion: ptr.To(false)}, nil
		case "says nothing":
			return &storagev1.StorageClass{}, nil
		}
		return nil, apierrors.NewNotFound(storagev1.Resource("storageclasses"), name)
	}}
	claim := func(class, size string, phase corev1.PersistentVolumeClaimPhase) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, Resources: corev1.VolumeResourceRequirements{Requests: amounts(t, "storage="+size)}},
			Status: corev1.PersistentVolumeClaimStatus{Phase: phase}}
	}
	const fixed = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
	tests := []struct {
		name, oldClass, class, size string
		phase                       corev1.PersistentVolumeClaimPhase
		why                         string
	}{
		{"larger", "grows", "grows", "2Gi", corev1.ClaimBound, ""},
		{"as it was", "stays", "stays", "1Gi", corev1.ClaimBound, ""},
		{"smaller is validation's", "stays", "stays", "1Mi", corev1.ClaimBound, ""},
		{"not bound", "grows", "grows", "2Gi", corev1.ClaimPending, "Only bound persistent volume claims can be expanded"},
		{"a class that does not", "stays", "stays", "2Gi", corev1.ClaimBound, fixed},
		{"a class that does not say", "says nothing", "says nothing", "2Gi", corev1.ClaimBound, fixed},
		{"a class that is gone", "gone", "gone", "2Gi", corev1.ClaimBound, fixed},
		{"no class", "", "", "2Gi", corev1.ClaimBound, fixed},
		{"another class", "stays", "grows", "2Gi", corev1.ClaimBound, fixed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := write{op: admission.Update, resource: "persistentvolumeclaims", obj: claim(tt.class, tt.size, tt.phase), old: claim(tt.oldClass, "1Gi", tt.phase)}
			refused(t, p.Validate(t.Context(), w.attributes(t), nil), tt.why)
			w.subresource = "status"
			refused(t, p.Validate(t.Context(), w.attributes(t), nil), "")
		})
	}
}

func TestTaintNodesByCondition(t *testing.T) {
	ours := corev1.Taint{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoSchedule}
	evicts := corev1.Taint{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoExecute}
	since := ours
	since.TimeAdded = &metav1.Time{Time: time.Unix(1, 0)}
	type list = []corev1.Taint
	for name, tt := range map[string]struct{ has, want list }{
		"none":                 {nil, list{ours}},
		"beside others":        {list{evicts}, list{evicts, ours}},
		"there already":        {list{ours, evicts}, list{ours, evicts}},
		"there for some while": {list{since}, list{since}},
	} {
		n := &corev1.Node{Spec: corev1.NodeSpec{Taints: tt.has}}
		if err := (TaintNodesByCondition{}).Admit(t.Context(), write{resource: "nodes", obj: n}.attributes(t), nil); err != nil || !reflect.DeepEqual(n.Spec.Taints, tt.want) {
			t.Errorf("%s: %v %v", name, n.Spec.Taints, err)
		}
	}
}

func TestPodTopologyLabels(t *testing.T) {
	p := &PodTopologyLabels{Node: func(_ context.Context, name string) (*corev1.Node, error) {
		switch name {
		case "n":
			return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "kubernetes.io/hostname": "h"}}}, nil
		case "bare":
			return &corev1.Node{}, nil
		case "away":
			return nil, errAway
		}
		return nil, apierrors.NewNotFound(corev1.Resource("nodes"), name)
	}}
	type labels = map[string]string
	both := labels{"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"}
	for name, tt := range map[string]struct {
		node      string
		has, want labels
		outcome   outcome
	}{
		"zone and region":      {"n", nil, both, allowed},
		"over what it said":    {"n", labels{"topology.kubernetes.io/zone": "mine", "a": "b"}, labels{"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "a": "b"}, allowed},
		"a node without":       {"bare", labels{"a": "b"}, labels{"a": "b"}, allowed},
		"a node that is gone":  {"gone", nil, nil, allowed},
		"a node that is asked": {"away", nil, nil, broken},
		"no node":              {"", nil, nil, allowed},
	} {
		o := pod(corev1.PodSpec{NodeName: tt.node})
		b := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: tt.node}}
		o.Labels, b.Labels = tt.has, tt.has
		if got := outcomeOf(p.Admit(t.Context(), creation(t, o), nil)); got != tt.outcome || !reflect.DeepEqual(o.Labels, tt.want) {
			t.Errorf("%s: a pod: %s %v", name, got, o.Labels)
		}
		if got := outcomeOf(p.Admit(t.Context(), write{resource: "pods", subresource: "binding", obj: b}.attributes(t), nil)); got != tt.outcome || !reflect.DeepEqual(b.Labels, tt.want) {
			t.Errorf("%s: a binding: %s %v", name, got, b.Labels)
		}
	}
	for name, w := range map[string]write{
		"to no node":       {resource: "pods", subresource: "binding", obj: &corev1.Binding{Target: corev1.ObjectReference{Kind: "Rack", Name: "n"}}},
		"another resource": {resource: "bindings", obj: &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}},
	} {
		if err := p.Admit(t.Context(), w.attributes(t), nil); err != nil || w.obj.(*corev1.Binding).Labels != nil {
			t.Errorf("%s: %v %v", name, err, w.obj)
		}
	}
}

func TestDenyServiceExternalIPs(t *testing.T) {
	with := func(ips ...string) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{ExternalIPs: ips}}
	}
	tests := []struct {
		name     string
		old, now *corev1.Service
		want     outcome
	}{
		{"none", nil, with(), allowed},
		{"new", nil, with("203.0.113.1"), forbidden},
		{"kept", with("203.0.113.1", "203.0.113.2"), with("203.0.113.2"), allowed},
		{"another", with("203.0.113.1"), with("203.0.113.1", "203.0.113.2"), forbidden},
		{"given up", with("203.0.113.1"), with(), allowed},
	}
	for _, tt := range tests {
		w := write{resource: "services", obj: tt.now}
		if tt.old != nil {
			w.op, w.old = admission.Update, tt.old
		}
		err := (DenyServiceExternalIPs{}).Validate(t.Context(), w.attributes(t), nil)
		if got := outcomeOf(err); got != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
		w.subresource = "status"
		if err := (DenyServiceExternalIPs{}).Validate(t.Context(), w.attributes(t), nil); err != nil {
			t.Errorf("%s, status: %v", tt.name, err)
		}
	}
}
