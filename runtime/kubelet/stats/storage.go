package stats

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// Storage is what pods take of the disks, of those of which something runs: no more is
// told of them.
func (s *Summarizer) Storage(ctx context.Context, pods []*corev1.Pod) ([]statsapi.PodStats, error) {
	all, err := s.Runtime.List(ctx, "")
	if err != nil {
		return nil, err
	}
	now := metav1.NewTime(s.Now())
	root, image := fileSystem(now, s.Layout.Root), fileSystem(now, s.ImageDir)
	var out []statsapi.PodStats
	for _, p := range running(all, pods) {
		ps := statsapi.PodStats{PodRef: statsapi.PodReference{Name: p.Name, Namespace: p.Namespace, UID: string(p.UID)}}
		for _, c := range p.containers {
			ps.Containers = append(ps.Containers, statsapi.ContainerStats{Name: c.Name})
		}
		s.storage(ctx, now, root, image, p, &ps)
		out = append(out, ps)
	}
	return out, nil
}
