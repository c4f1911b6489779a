package scheduler

// podHeap is a container/heap of pods that know their places in it.
type podHeap struct {
	pods []*queuedPod
	less func(a, b *queuedPod) bool
}

func (h *podHeap) Len() int           { return len(h.pods) }
func (h *podHeap) Less(i, j int) bool { return h.less(h.pods[i], h.pods[j]) }
func (h *podHeap) Swap(i, j int) {
	h.pods[i], h.pods[j] = h.pods[j], h.pods[i]
	h.pods[i].index, h.pods[j].index = i, j
}

func (h *podHeap) Push(x any) {
	qp := x.(*queuedPod)
	qp.index = len(h.pods)
	h.pods = append(h.pods, qp)
}

func (h *podHeap) Pop() any {
	last := len(h.pods) - 1
	qp := h.pods[last]
	h.pods[last] = nil
	h.pods = h.pods[:last]
	return qp
}
