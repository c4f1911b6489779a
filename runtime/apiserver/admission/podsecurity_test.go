package admission

import (
	"context"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/ptr"
)

// heard collects warnings.
type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) AddWarning(_, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, text)
}

func TestPodSecurity(t *testing.T) {
	labels := func(pairs ...string) map[string]string {
		out := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			out["pod-security.kubernetes.io/"+pairs[i]] = pairs[i+1]
		}
		return out
	}
	namespaces := map[string]map[string]string{
		"free": nil, "warns": labels("warn", "baseline"), "baseline": labels("enforce", "baseline"), "restricted": labels("enforce", "restricted", "enforce-version", "latest"),
		"past": labels("enforce", "restricted", "enforce-version", "v1.18"),
	}
	privileged := corev1.PodSpec{HostPID: true, Containers: []corev1.Container{{Name: "c", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)}}}}
	plain := corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}
	running := pod(privileged)
	running.Namespace = "pods"
	registered := 0
	p, err := NewPodSecurity(nil, PodSecuritySources{
		Namespace: func(_ context.Context, name string) (*corev1.Namespace, error) {
			l, ok := namespaces[name]
			if !ok {
				return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), name)
			}
			return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: l}}, nil
		},
		Pods: func(context.Context, string) ([]*corev1.Pod, error) { return []*corev1.Pod{running}, nil },
	}, func(metrics.Registerable) error { registered++; return nil })
	if err != nil || registered == 0 {
		t.Fatalf("%v, %d metrics", err, registered)
	}
	in := func(ns string, spec corev1.PodSpec) *corev1.Pod {
		o := pod(spec)
		o.Namespace = ns
		return o
	}
	debugged := in("baseline", plain)
	debugged.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon(privileged.Containers[0])}}
	namespace := func(l map[string]string) runtime.Object {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "pods", Labels: l}}
	}
	const violates = `violates PodSecurity "baseline:latest": host namespaces (hostPID=true), privileged (container "c" must not set securityContext.privileged=true)`
	tests := []struct {
		name string
		write
		refused string // in the reason
		warned  string // in a warning
	}{
		{"no labels", write{resource: "pods", obj: in("free", privileged)}, "", ""},
		{"a warning", write{resource: "pods", obj: in("warns", privileged)}, "", "would " + strings.Replace(violates, "violates", "violate", 1)},
		{"enforced", write{resource: "pods", obj: in("baseline", privileged)}, violates, ""},
		{"within", write{resource: "pods", obj: in("baseline", plain)}, "", ""},
		{"restricted", write{resource: "pods", obj: in("restricted", plain)}, "allowPrivilegeEscalation != false", ""},
		{"as it was", write{resource: "pods", obj: in("past", plain)}, "runAsNonRoot != true", ""},
		{"an update that says the same", write{op: admission.Update, resource: "pods", obj: in("baseline", privileged), old: in("baseline", privileged)}, "", ""},
		{"a debug container", write{op: admission.Update, resource: "pods", subresource: "ephemeralcontainers", obj: debugged, old: in("baseline", plain)}, `privileged (container "c" must not`, ""},
		{"a binding", write{resource: "pods", subresource: "binding", namespace: "baseline", obj: &corev1.Binding{}}, "", ""},
		{"a workload", write{group: "apps", resource: "deployments", obj: &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "warns", Name: "d"},
			Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: privileged}}}}, "", "hostPID=true"},
		{"another kind", write{resource: "services", obj: &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "none"}}}, "", ""},
		{"a namespace that does not exist", write{resource: "pods", obj: in("none", plain)}, `failed to lookup namespace "none"`, ""},
		{"a namespace's labels", write{resource: "namespaces", namespace: "pods", obj: namespace(labels("enforce", "baseline"))}, "", ""},
		{"a wrong level", write{resource: "namespaces", namespace: "pods", obj: namespace(labels("enforce", "high"))}, `must be one of privileged, baseline, restricted`, ""},
		{"a wrong version", write{resource: "namespaces", namespace: "pods", obj: namespace(labels("enforce-version", "1.2"))}, `must be "latest" or "v1.x"`, ""},
		{"labels that its pods violate", write{op: admission.Update, resource: "namespaces", namespace: "pods", obj: namespace(labels("enforce", "baseline")), old: namespace(nil)}, "", `existing pods in namespace "pods" violate`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &heard{}
			tt.user = &user.DefaultInfo{Name: "someone"}
			err := p.Validate(warning.WithWarningRecorder(t.Context(), h), tt.attributes(t), nil)
			if tt.refused == "" && err != nil || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("%v", err)
			}
			if got := strings.Join(h.all, "\n"); tt.warned == "" && got != "" || !strings.Contains(got, tt.warned) {
				t.Errorf("warned: %q", got)
			}
		})
	}
	err = p.Validate(t.Context(), write{resource: "pods", obj: in("baseline", privileged), user: &user.DefaultInfo{}}.attributes(t), nil)
	if !apierrors.IsForbidden(err) || !strings.HasPrefix(err.Error(), `pods "p" is forbidden: violates PodSecurity`) {
		t.Errorf("%v", err)
	}
}

// TestPodSecurityConfiguration: the configuration says what holds where labels say
// nothing, and who is exempt.
func TestPodSecurityConfiguration(t *testing.T) {
	const head = "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n"
	namespaces := map[string]map[string]string{"plain": nil, "free": {"pod-security.kubernetes.io/enforce": "privileged"}, "system": nil}
	with := func(configuration string) (*PodSecurity, error) {
		return NewPodSecurity([]byte(configuration), PodSecuritySources{
			Namespace: func(_ context.Context, name string) (*corev1.Namespace, error) {
				return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: namespaces[name]}}, nil
			},
			Pods: func(context.Context, string) ([]*corev1.Pod, error) { return nil, nil },
		}, func(metrics.Registerable) error { return nil })
	}
	for bad, want := range map[string]string{
		"kind: Policy":                              "'apiVersion' is missing",
		head + "defaults: {enforce: high}":          "must be one of privileged, baseline, restricted",
		head + "defaults: {enforce-version: \"1\"}": `must be "latest" or "v1.x"`,
		head + "defaults: {enforced: baseline}":     "unknown field",
		head + "exemptions: {namespaces: [a, a]}":   "Duplicate value",
		head + "exemptions: {usernames: [\"\"]}":    "must not be empty",
		head + "exemptions: {runtimeClasses: [A_]}": "a lowercase RFC 1123 subdomain",
	} {
		if _, err := with(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
	}
	p, err := with(head + "defaults: {enforce: baseline, enforce-version: v1.37, warn: restricted}\n" +
		"exemptions: {usernames: [root], namespaces: [system], runtimeClasses: [virtual]}\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, namespace, user, class string
		privileged                   bool
		refused, warned              string
	}{
		{"without labels", "plain", "ann", "", true, `violates PodSecurity "baseline:v1.37": host namespaces`, ""},
		{"within the default", "plain", "ann", "", false, "", `would violate PodSecurity "restricted:latest"`},
		{"labels come first", "free", "ann", "", true, "", `would violate PodSecurity "restricted:latest"`},
		{"an exempt user", "plain", "root", "", true, "", ""},
		{"an exempt namespace", "system", "ann", "", true, "", ""},
		{"an exempt class", "plain", "ann", "virtual", true, "", ""},
		{"another class", "plain", "ann", "other", true, `violates PodSecurity "baseline:v1.37"`, ""},
	} {
		o := pod(corev1.PodSpec{HostPID: tt.privileged, Containers: []corev1.Container{{Name: "c"}}})
		if o.Namespace = tt.namespace; tt.class != "" {
			o.Spec.RuntimeClassName = &tt.class
		}
		h := &heard{}
		w := write{resource: "pods", obj: o, user: &user.DefaultInfo{Name: tt.user}}
		err := p.Validate(warning.WithWarningRecorder(t.Context(), h), w.attributes(t), nil)
		if tt.refused == "" && err != nil || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := strings.Join(h.all, "\n"); tt.warned == "" && got != "" || !strings.Contains(got, tt.warned) {
			t.Errorf("%s: warned %q", tt.name, got)
		}
	}
}
