package core

import "k8s.io/kube-scheduler/framework"

// imageLocality prefers nodes that have large images of the pod already.
type imageLocality struct{}

// Bounds, in bytes per container, between which the size of images on a node counts.
const (
	minImageSize = 23 << 20
	maxImageSize = 1000 << 20
)

func (imageLocality) Name() string { return "ImageLocality" }

func (imageLocality) Score(_ State, _ *Snapshot, p *PodInfo, nodes []*NodeInfo, scores []int64) {
	most := int64(maxImageSize * max(1, len(p.images)))
	for i, n := range nodes {
		if len(n.images) == 0 {
			continue
		}
		var there int64
		for _, name := range p.images {
			there += n.images[name]
		}
		there = min(max(there, minImageSize), most)
		scores[i] = framework.MaxNodeScore * (there - minImageSize) / (most - minImageSize)
	}
}
