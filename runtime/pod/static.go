package pod

import corev1 "k8s.io/api/core/v1"

// Annotations of static pods, which a kubelet reads from its disk, and of the mirror pods
// that show them in the API.
// https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-source
const (
	ConfigSourceAnnotation = "kubernetes.io/config.source"
	ConfigHashAnnotation   = "kubernetes.io/config.hash"
	ConfigSeenAnnotation   = "kubernetes.io/config.seen"
)

// IsMirror says whether a pod of the API shows a static pod.
func IsMirror(p *corev1.Pod) bool {
	_, is := p.Annotations[corev1.MirrorPodAnnotationKey]
	return is
}

// IsStatic says whether a pod of a kubelet is a static one. Of a pod of the API it says
// nothing: anybody may annotate it.
func IsStatic(p *corev1.Pod) bool {
	_, is := p.Annotations[ConfigSourceAnnotation]
	return is && !IsMirror(p)
}
