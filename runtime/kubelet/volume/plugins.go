package volume

import corev1 "k8s.io/api/core/v1"

// Plugins are the kinds of volumes that a node has. allocatable is what it has for pods.
func Plugins(mounts Mounts, objects Objects, tokens Tokens, certificates Certificates, allocatable corev1.ResourceList, images ImageMounts) []Plugin {
	dir := directory{mounts}
	c := content{objects: objects, tokens: tokens, certificates: certificates, allocatable: allocatable}
	return []Plugin{
		emptyDir{directory: dir, memory: allocatable.Memory().Value()},
		hostPath{},
		configMap{directory: dir, content: c},
		secret{directory: dir, content: c},
		projected{directory: dir, content: c},
		downwardAPI{directory: dir, content: c},
		image{directory: dir, images: images},
	}
}
