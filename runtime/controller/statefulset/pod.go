package statefulset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/pods"
)

// This file gives pods their identity: name, host name and claims by ordinal.

func podName(set *appsv1.StatefulSet, ordinal int) string {
	return fmt.Sprintf("%s-%d", set.Name, ordinal)
}

// ordinalOf is the ordinal in a pod's name; -1 for a pod that is not the set's.
func ordinalOf(set *appsv1.StatefulSet, p *corev1.Pod) int {
	text, ours := strings.CutPrefix(p.Name, set.Name+"-")
	n, err := strconv.Atoi(text)
	if !ours || err != nil || n < 0 || strconv.Itoa(n) != text {
		return -1
	}
	return n
}

func start(set *appsv1.StatefulSet) int {
	if set.Spec.Ordinals == nil {
		return 0
	}
	return int(set.Spec.Ordinals.Start)
}

func replicas(set *appsv1.StatefulSet) int {
	if set.Spec.Replicas == nil {
		return 1
	}
	return int(*set.Spec.Replicas)
}

// revisionOf is the name of the revision that a pod was made of.
func revisionOf(p *corev1.Pod) string { return p.Labels[appsv1.ControllerRevisionHashLabelKey] }

func claimName(set *appsv1.StatefulSet, template string, ordinal int) string {
	return fmt.Sprintf("%s-%s-%d", template, set.Name, ordinal)
}

// newPod is the pod of an ordinal, of a revision's template.
func newPod(set *appsv1.StatefulSet, template *corev1.PodTemplateSpec, revision string, ordinal int, ref metav1.OwnerReference) *corev1.Pod {
	p := pods.FromTemplate(template, set.Namespace, set.Name, ref)
	p.GenerateName, p.Name = "", podName(set, ordinal)
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels[appsv1.StatefulSetPodNameLabel] = p.Name
	p.Labels[appsv1.PodIndexLabel] = strconv.Itoa(ordinal)
	p.Labels[appsv1.ControllerRevisionHashLabelKey] = revision
	p.Spec.Hostname, p.Spec.Subdomain = p.Name, set.Spec.ServiceName
	for _, c := range set.Spec.VolumeClaimTemplates {
		// A claim template stands before a volume of the same name.
		p.Spec.Volumes = slices.DeleteFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == c.Name })
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: c.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName(set, c.Name, ordinal)},
		}})
	}
	return p
}

// newClaim is the claim of an ordinal, of a claim template.
func newClaim(set *appsv1.StatefulSet, template *corev1.PersistentVolumeClaim, ordinal int) *corev1.PersistentVolumeClaim {
	c := template.DeepCopy()
	c.Namespace, c.Name = set.Namespace, claimName(set, template.Name, ordinal)
	c.Status = corev1.PersistentVolumeClaimStatus{}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	for k, v := range set.Spec.Selector.MatchLabels {
		c.Labels[k] = v
	}
	return c
}
