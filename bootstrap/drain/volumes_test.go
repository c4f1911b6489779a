package drain

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestVolumesThatGoWithNodes(t *testing.T) {
	volume := func(name, claim string, local bool, at ...string) *corev1.PersistentVolume {
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{Capacity: corev1.ResourceList{"storage": resource.MustParse("1Gi")}}}
		if claim != "" {
			v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "n", Name: claim}
		}
		if local {
			v.Spec.Local = &corev1.LocalVolumeSource{}
		}
		if len(at) > 0 {
			v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"c"}}, {Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: at},
			}}}}}
		}
		return v
	}
	pod := func(namespace, name string, v corev1.VolumeSource) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "x"}, {Name: "v", VolumeSource: v}}}}
	}
	of := func(claim string) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}
	}
	api := fake.NewClientset(
		volume("used", "c", true, "a"), volume("ephemeral", "q-v", true, "b"), volume("kept", "gone", true, "a"), volume("free", "", true, "a"),
		volume("elsewhere", "d", true, "c"), volume("also-elsewhere", "d", true, "a", "c"), volume("network", "e", false, "a"), volume("anywhere", "f", true),
		pod("n", "p", of("c")), pod("n", "p2", of("c")), pod("other", "p", of("c")), pod("n", "q", corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}),
	)
	got, err := Volumes(t.Context(), api, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, v := range got {
		text = append(text, fmt.Sprintf("%s on %s, %s, of %q, %v", v.Name, v.Node, v.Size, v.Claim, v.Pods))
	}
	want := []string{`free on a, 1Gi, of "", []`, `kept on a, 1Gi, of "n/gone", []`, `used on a, 1Gi, of "n/c", [n/p n/p2]`, `ephemeral on b, 1Gi, of "n/q-v", [n/q]`}
	if !slices.Equal(text, want) {
		t.Errorf("\n got %q\nwant %q", text, want)
	}
}
