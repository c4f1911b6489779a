package nodes

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/config"
)

// TestManyAreRevokedAtOnce: a node whose turn comes after thirty others is revoked all the same.
func TestManyAreRevokedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := fake.NewSimpleClientset(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.ReleasedNodesConfigMap, Namespace: metav1.NamespaceSystem}})
		others := 30
		api.PrependReactor("update", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
			if others == 0 {
				return false, nil, nil
			}
			others--
			return true, nil, apierrors.NewConflict(corev1.Resource("configmaps"), config.ReleasedNodesConfigMap, nil)
		})
		if err := Revoke(t.Context(), api, "w1", time.Now()); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadRevoked(t.Context(), api); err != nil || got["w1"].IsZero() {
			t.Errorf("revoked are %v, %v", got, err)
		}
	})
}
