package netpol

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// large is a cluster of 10,000 pods in 100 namespaces, a hundred of them on this node,
// and 100 policies, each for pods of one namespace from those of another.
func large(b *testing.B) *State {
	s := NewState("here")
	for i := range 100 {
		ns := fmt.Sprint("ns", i)
		s.SetNamespace(ns, labels.Set{"kubernetes.io/metadata.name": ns}, true)
		np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns}, Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "0"}},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
				{PodSelector: &metav1.LabelSelector{}},
				{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": fmt.Sprint("ns", (i+1)%100)}}},
			}}},
		}}
		p, err := Compile(np)
		if err != nil {
			b.Fatal(err)
		}
		s.SetPolicy(types.NamespacedName{Namespace: ns, Name: "np"}, &p)
	}
	for i := range 10000 {
		p := largePod(i)
		s.SetPod(types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, p)
	}
	return s
}

func largePod(i int) *corev1.Pod {
	node := "there"
	if i%100 == 0 {
		node = "here"
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprint("ns", i%97), Name: fmt.Sprint("p", i), UID: types.UID(fmt.Sprint(i)), Labels: map[string]string{"app": fmt.Sprint(i % 3)}},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: fmt.Sprintf("10.%d.%d.%d", i/65536, i/256%256, i%256)}}},
	}
}

func BenchmarkState(b *testing.B) {
	b.Run("10,000 pods and 100 policies from nothing", func(b *testing.B) {
		for b.Loop() {
			large(b)
		}
	})
	b.Run("one pod comes and goes", func(b *testing.B) {
		s := large(b)
		s.Applied()
		p := largePod(10000)
		name := types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
		for b.Loop() {
			s.SetPod(name, p)
			s.Change()
			s.Applied()
			s.SetPod(name, nil)
			s.Change()
			s.Applied()
		}
	})
}
