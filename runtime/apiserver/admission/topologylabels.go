package admission

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
)

// PodTopologyLabels gives pods the zone and region of the node that they are bound
// to, as labels: through the binding, or at once where a new pod names its node.
type PodTopologyLabels struct {
	// Node returns a node, or a NotFound error.
	Node func(ctx context.Context, name string) (*corev1.Node, error)
}

var _ admission.MutationInterface = &PodTopologyLabels{}

// Handles says that new pods and bindings are looked at.
func (p *PodTopologyLabels) Handles(op admission.Operation) bool { return op == admission.Create }

// Admit sets the labels.
func (p *PodTopologyLabels) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != corev1.Resource("pods") {
		return nil
	}
	switch o := a.GetObject().(type) {
	case *corev1.Pod:
		if a.GetSubresource() == "" && o.Spec.NodeName != "" {
			return p.label(ctx, o.Spec.NodeName, &o.Labels)
		}
	case *corev1.Binding:
		if a.GetSubresource() == "binding" && o.Target.Kind == "Node" && o.Target.Name != "" {
			return p.label(ctx, o.Target.Name, &o.Labels)
		}
	}
	return nil
}

func (p *PodTopologyLabels) label(ctx context.Context, name string, labels *map[string]string) error {
	node, err := p.Node(ctx, name)
	if errors.IsNotFound(err) {
		return nil // whether the node exists is not for this plugin to say
	}
	if err != nil {
		return errors.NewInternalError(fmt.Errorf("look up the topology of node %s: %w", name, err))
	}
	all := maps.Clone(*labels)
	for _, k := range []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion} {
		if v, ok := node.Labels[k]; ok {
			if all == nil {
				all = map[string]string{}
			}
			all[k] = v
		}
	}
	*labels = all
	return nil
}
