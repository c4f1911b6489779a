package admission

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/yaml"
)

// site is a cluster as nodes' writes are compared with it. What is not in it is not
// found; objects named "away" cannot be read.
type site struct {
	pods    []corev1.Pod
	claims  map[string]string // namespace/name → volume
	volumes map[string]string // name → CSI driver, "" for another kind
	drivers map[string]string // name → audience
}

func absent[T any](name string, found T, ok bool) (T, error) {
	var none T
	switch {
	case name == "away":
		return none, errAway
	case !ok:
		return none, apierrors.NewNotFound(corev1.Resource("things"), name)
	}
	return found, nil
}

func (s site) Pod(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	for i := range s.pods {
		if p := &s.pods[i]; p.Namespace == namespace && p.Name == name {
			return p, nil
		}
	}
	return absent[*corev1.Pod](name, nil, false)
}

func (s site) Node(_ context.Context, name string) (*corev1.Node, error) {
	return absent(name, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name + "-uid")}}, name == "a" || name == "b")
}

func (s site) Account(_ context.Context, _, name string) (*corev1.ServiceAccount, error) {
	return absent(name, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "account-uid"}}, name == "bot")
}

func (s site) Claim(_ context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	v, ok := s.claims[namespace+"/"+name]
	return absent(name, &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeName: v}}, ok)
}

func (s site) Volume(_ context.Context, name string) (*corev1.PersistentVolume, error) {
	driver, ok := s.volumes[name]
	v := &corev1.PersistentVolume{}
	if driver != "" {
		v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driver}
	}
	return absent(name, v, ok)
}

func (s site) Driver(_ context.Context, name string) (*storagev1.CSIDriver, error) {
	audience, ok := s.drivers[name]
	return absent(name, &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{TokenRequests: []storagev1.TokenRequest{{Audience: audience}}}}, ok)
}

// of reads an object from YAML.
func of[T runtime.Object](t *testing.T, obj T, text string) T {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return obj
}

// nothing allows nothing.
var nothing = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, "", nil
})

func kubelet(name string) user.Info {
	return &user.DefaultInfo{Name: "system:node:" + name, Groups: []string{"system:nodes"}}
}

// verdict compares what a node's request is answered with, and that nobody else is
// held to it.
func verdict(t *testing.T, p *NodeRestriction, name string, w write, want string) {
	t.Helper()
	w.user = kubelet("a")
	err := p.Validate(t.Context(), w.attributes(t), nil)
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
	w.user = &user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:authenticated"}}
	if err := p.Validate(t.Context(), w.attributes(t), nil); err != nil {
		t.Errorf("%s, by somebody: %v", name, err)
	}
	w.user = kubelet("")
	if p.Validate(t.Context(), w.attributes(t), nil) == nil && want != "" {
		t.Errorf("%s: allowed to a node without a name", name)
	}
}
