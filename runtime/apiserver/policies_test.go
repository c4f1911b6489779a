package apiserver_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

// TestPoliciesAndWebhooksDecide: what the objects of admissionregistration.k8s.io say is
// done to config maps.
func TestPoliciesAndWebhooksDecide(t *testing.T) {
	c := apitest.Start(t)
	for name, f := range map[string]func(*testing.T, kubernetes.Interface, string){"policies": policies, "webhooks": webhooks, "connections": connections} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := c.Admin()
			f(t, k, namespace(t, k, name))
		})
	}
}

// configMaps are written without being kept.
type configMaps struct {
	t *testing.T
	corev1client.ConfigMapInterface
}

func (m configMaps) create(data map[string]string) (*corev1.ConfigMap, error) {
	return m.Create(m.t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "c-"}, Data: data}, dryRun())
}

// denied waits until one is refused for a reason.
func (m configMaps) denied(what string, data map[string]string, why string) {
	m.t.Helper()
	eventually(m.t, what, func() error {
		_, err := m.create(data)
		if err == nil || !strings.Contains(err.Error(), why) {
			return fmt.Errorf("got %v, want %q", err, why)
		}
		return nil
	})
}

// created are the new config maps of a namespace.
func created(ns string) (admissionregistrationv1.RuleWithOperations, *metav1.LabelSelector) {
	return admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}, &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}}
}

func policies(t *testing.T, k kubernetes.Interface, ns string) {
	ctx, ar, maps := t.Context(), k.AdmissionregistrationV1(), configMaps{t, k.CoreV1().ConfigMaps(ns)}
	rule, inNamespace := created(ns)
	match := &admissionregistrationv1.MatchResources{NamespaceSelector: inNamespace, ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: rule}}}

	// A policy, with a variable and a message of its own.
	must[*admissionregistrationv1.ValidatingAdmissionPolicy](t)(ar.ValidatingAdmissionPolicies().Create(ctx, &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: match,
			Variables:        []admissionregistrationv1.Variable{{Name: "size", Expression: "has(object.data) ? object.data.size() : 0"}},
			Validations:      []admissionregistrationv1.Validation{{Expression: "variables.size < 3", MessageExpression: "'has ' + string(variables.size) + ' keys'"}},
		},
	}, metav1.CreateOptions{}))
	if _, err := maps.create(map[string]string{"a": "", "b": "", "c": ""}); err != nil {
		t.Errorf("a policy without a binding decides: %v", err)
	}
	must[*admissionregistrationv1.ValidatingAdmissionPolicyBinding](t)(ar.ValidatingAdmissionPolicyBindings().Create(ctx, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec:       admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "small", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}},
	}, metav1.CreateOptions{}))
	maps.denied("a policy that is bound", map[string]string{"a": "", "b": "", "c": ""}, "has 3 keys")

	// A policy that changes.
	must[*admissionregistrationv1.MutatingAdmissionPolicy](t)(ar.MutatingAdmissionPolicies().Create(ctx, &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "label"},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			MatchConstraints: match, ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType:          admissionregistrationv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: `Object{metadata: Object.metadata{labels: {"by": "policy"}}}`},
			}},
		},
	}, metav1.CreateOptions{}))
	must[*admissionregistrationv1.MutatingAdmissionPolicyBinding](t)(ar.MutatingAdmissionPolicyBindings().Create(ctx, &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "label"}, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "label"},
	}, metav1.CreateOptions{}))
	eventually(t, "a policy that changes", func() error {
		m, err := maps.create(nil)
		if err == nil && m.Labels["by"] != "policy" {
			err = fmt.Errorf("labels %v", m.Labels)
		}
		return err
	})
}

// webhooks: one changes, one refuses what the other changed.
func webhooks(t *testing.T, k kubernetes.Interface, ns string) {
	ctx, ar, maps := t.Context(), k.AdmissionregistrationV1(), configMaps{t, k.CoreV1().ConfigMaps(ns)}
	rule, inNamespace := created(ns)
	hook := httptest.NewTLSServer(http.HandlerFunc(answerReview))
	defer hook.Close()
	client := func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{URL: new(hook.URL + path), CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})}
	}
	none, fail := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Fail
	only := []admissionregistrationv1.MatchCondition{{Name: "hooked", Expression: "has(object.data) && 'hook' in object.data"}}
	must[*admissionregistrationv1.MutatingWebhookConfiguration](t)(ar.MutatingWebhookConfigurations().Create(ctx, &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "change"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "change.example.com", ClientConfig: client("/change"), Rules: []admissionregistrationv1.RuleWithOperations{rule}, NamespaceSelector: inNamespace,
			SideEffects: &none, FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"}, MatchConditions: only,
		}},
	}, metav1.CreateOptions{}))
	must[*admissionregistrationv1.ValidatingWebhookConfiguration](t)(ar.ValidatingWebhookConfigurations().Create(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "refuse"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "refuse.example.com", ClientConfig: client("/refuse"), Rules: []admissionregistrationv1.RuleWithOperations{rule}, NamespaceSelector: inNamespace,
			SideEffects: &none, FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"}, MatchConditions: only,
		}},
	}, metav1.CreateOptions{}))
	maps.denied("a webhook that refuses", map[string]string{"hook": ""}, `denied the request: it was changed to "yes"`)
	if _, err := maps.create(map[string]string{"other": ""}); err != nil {
		t.Errorf("what does not match the condition: %v", err)
	}
	hook.Close()
	if _, err := maps.create(map[string]string{"hook": ""}); !apierrors.IsInternalError(err) {
		t.Errorf("a webhook that must answer and is away: %v", err)
	}
}

// connections: of a request to connect a webhook sees the options, not the pod.
func connections(t *testing.T, k kubernetes.Interface, ns string) {
	ctx, ar := t.Context(), k.AdmissionregistrationV1()
	hook := httptest.NewTLSServer(http.HandlerFunc(answerReview))
	t.Cleanup(hook.Close)
	_, inNamespace := created(ns)
	none := admissionregistrationv1.SideEffectClassNone
	register := func(expression string) error {
		_, err := ar.ValidatingWebhookConfigurations().Create(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "connects"},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: "connects.example.com", NamespaceSelector: inNamespace, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
				ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: new(hook.URL + "/refuse"), CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})},
				Rules: []admissionregistrationv1.RuleWithOperations{{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Connect},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods/attach"}},
				}},
				MatchConditions: []admissionregistrationv1.MatchCondition{{Name: "stdout", Expression: expression}},
			}},
		}, metav1.CreateOptions{})
		return err
	}
	because(t, "a condition that does not compile", register("object."), "webhooks[0].matchConditions[0].expression: Invalid value")
	ok(t, register("object.stdout == true"))
	must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(ctx, pod("p"), metav1.CreateOptions{}))
	eventually(t, "an attachment is refused", func() error {
		err := k.CoreV1().RESTClient().Post().Namespace(ns).Resource("pods").Name("p").SubResource("attach").Param("stdout", "true").Do(ctx).Error()
		if err == nil || !strings.Contains(err.Error(), "denied the request") {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
}

// answerReview changes data.hook to "yes" at /change, and refuses with it at /refuse.
func answerReview(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	var object corev1.ConfigMap
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := json.Unmarshal(review.Request.Object.Raw, &object); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	switch r.URL.Path {
	case "/change":
		answer.PatchType, answer.Patch = new(admissionv1.PatchTypeJSONPatch), []byte(`[{"op": "replace", "path": "/data/hook", "value": "yes"}]`)
	case "/refuse":
		answer.Allowed, answer.Result = false, &metav1.Status{Message: fmt.Sprintf("it was changed to %q", object.Data["hook"])}
	}
	review.Request, review.Response = nil, answer
	json.NewEncoder(w).Encode(review) //nolint:errcheck // a client that went has its own error
}
