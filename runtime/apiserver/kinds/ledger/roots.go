package ledger

import (
	"fmt"
	"reflect"

	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// Roots are the types of the table's kinds in each version in which they are served, and
// those of subresources and of the options of requests.
func Roots(table []kind.Kind) ([]reflect.Type, error) {
	var out []reflect.Type
	for _, k := range table {
		versions := []string{k.GVK.Version}
		for _, v := range k.Versions {
			versions = append(versions, v.Name)
		}
		for _, v := range versions {
			obj, err := clientgoscheme.Scheme.New(schema.GroupVersionKind{Group: k.GVK.Group, Version: v, Kind: k.GVK.Kind})
			if err != nil {
				return nil, fmt.Errorf("the Go type of %s: %w", k.GVK, err)
			}
			out = append(out, reflect.TypeOf(obj).Elem())
		}
	}
	for _, obj := range []any{
		policyv1.Eviction{}, authenticationv1.TokenRequest{}, autoscalingv1.Scale{},
		corev1.PodLogOptions{}, corev1.PodExecOptions{}, corev1.PodAttachOptions{}, corev1.PodPortForwardOptions{},
		corev1.PodProxyOptions{}, corev1.ServiceProxyOptions{}, corev1.NodeProxyOptions{},
		metav1.GetOptions{}, metav1.ListOptions{}, metav1.CreateOptions{}, metav1.UpdateOptions{}, metav1.PatchOptions{}, metav1.DeleteOptions{},
	} {
		out = append(out, reflect.TypeOf(obj))
	}
	return out, nil
}
