package flowcontrol

import (
	"slices"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"

	"github.com/gantry-run/gantry/runtime/config"
)

// NodeAgents is the flow schema of the proxies and DNS servers. Upstream's are service
// accounts of kube-system or nodes; ours have identities of their own, which no schema of
// upstream's knows, and belong to the nodes as the kubelets do. All nodes share these identities, and by user
// is all that a schema can tell flows apart by: fairness does not hold one worker's proxy
// apart from another's. That of what lasts does (filters.WithPerUser).
const NodeAgents = "gantry-node-agents"

// suggestedFlowSchemas are upstream's and ours.
func suggestedFlowSchemas() []*flowcontrolv1.FlowSchema {
	return append(slices.Clone(bootstrap.SuggestedFlowSchemas), nodeAgents())
}

func nodeAgents() *flowcontrolv1.FlowSchema {
	nodes := bootstrap.SuggestedFlowSchemaSystemNodes
	f := &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: NodeAgents, Annotations: map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "true"}},
		Spec:       *nodes.Spec.DeepCopy(),
	}
	for i := range f.Spec.Rules {
		f.Spec.Rules[i].Subjects = nil
		for _, name := range []string{config.ProxyUser, config.DNSUser} {
			f.Spec.Rules[i].Subjects = append(f.Spec.Rules[i].Subjects, flowcontrolv1.Subject{
				Kind: flowcontrolv1.SubjectKindUser, User: &flowcontrolv1.UserSubject{Name: name},
			})
		}
	}
	return f
}
