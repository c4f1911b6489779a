package trustbundle

import (
	"slices"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func TestTheAuthorityIsPublished(t *testing.T) {
	bundle := func(name, of, content string) *certificatesv1.ClusterTrustBundle {
		return &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: of, TrustBundle: content}}
	}
	name := bundleName("ca")
	const before = "kubernetes.io:kube-apiserver-serving:before"
	for what, tt := range map[string]struct {
		there []runtime.Object
		want  []string
	}{
		"nothing":          {nil, []string{"create clustertrustbundles " + name}},
		"it":               {[]runtime.Object{bundle(name, signer, "ca")}, nil},
		"another content":  {[]runtime.Object{bundle(name, signer, "x")}, []string{"update clustertrustbundles " + name}},
		"the one before":   {[]runtime.Object{bundle(name, signer, "ca"), bundle(before, signer, "x")}, []string{"delete clustertrustbundles " + before}},
		"of other signers": {[]runtime.Object{bundle(name, signer, "ca"), bundle("a.b:c:d", "a.b/c", "x"), bundle("x", "", "x")}, nil},
	} {
		f := controllertest.New(tt.there...)
		f.Deps.RootCA = []byte("ca")
		c, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if _, err := c.reconcile(t.Context(), signer); err != nil || !slices.Equal(f.Writes(), tt.want) {
			t.Errorf("%s: %v, %v", what, err, f.Writes())
		}
	}
}
