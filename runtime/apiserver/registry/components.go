package registry

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// Component is a process that a ComponentStatus tells of.
type Component struct {
	Name string
	// Check asks it: whether it is well, and what it says.
	Check func(ctx context.Context) (healthy bool, message string)
}

// ComponentStatuses are not stored: who reads one has the component asked.
type ComponentStatuses struct {
	rest.TableConvertor
	kind       kind.Kind
	components []Component
}

var (
	_ rest.Getter               = &ComponentStatuses{}
	_ rest.Lister               = &ComponentStatuses{}
	_ rest.Scoper               = &ComponentStatuses{}
	_ rest.ShortNamesProvider   = &ComponentStatuses{}
	_ rest.SingularNameProvider = &ComponentStatuses{}
)

// NewComponentStatuses returns what serves the row with the components' answers.
func NewComponentStatuses(k kind.Kind, components []Component) *ComponentStatuses {
	return &ComponentStatuses{TableConvertor: newTables(k), kind: k, components: components}
}

// New returns an empty object.
func (c *ComponentStatuses) New() runtime.Object { return &corev1.ComponentStatus{} }

// NewList returns an empty list.
func (c *ComponentStatuses) NewList() runtime.Object { return &corev1.ComponentStatusList{} }

// Destroy does nothing: there is no storage.
func (c *ComponentStatuses) Destroy() {}

// NamespaceScoped tells whether they are in namespaces.
func (c *ComponentStatuses) NamespaceScoped() bool { return c.kind.Namespaced }

// ShortNames are those of the row.
func (c *ComponentStatuses) ShortNames() []string { return c.kind.ShortNames }

// GetSingularName is the resource's name for one.
func (c *ComponentStatuses) GetSingularName() string { return "componentstatus" }

// Get asks one component.
func (c *ComponentStatuses) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	for _, component := range c.components {
		if component.Name == name {
			return component.status(ctx), nil
		}
	}
	return nil, errors.NewNotFound(corev1.Resource("componentstatus"), name) // the singular, as upstream
}

// List asks all components at once. They have no labels, and of fields their name.
func (c *ComponentStatuses) List(ctx context.Context, options *metainternalversion.ListOptions) (runtime.Object, error) {
	label, field := labels.Everything(), fields.Everything()
	if options != nil && options.LabelSelector != nil {
		label = options.LabelSelector
	}
	if options != nil && options.FieldSelector != nil {
		field = options.FieldSelector
	}
	asked := slices.DeleteFunc(slices.Clone(c.components), func(component Component) bool {
		return !label.Matches(labels.Set{}) || !field.Matches(fields.Set{"metadata.name": component.Name})
	})
	list := &corev1.ComponentStatusList{Items: make([]corev1.ComponentStatus, len(asked))}
	var all sync.WaitGroup
	for i, component := range asked {
		all.Go(func() { list.Items[i] = *component.status(ctx) })
	}
	all.Wait()
	return list, nil
}

func (c Component) status(ctx context.Context) *corev1.ComponentStatus {
	healthy, message := c.Check(ctx)
	condition := corev1.ComponentCondition{Type: corev1.ComponentHealthy, Status: corev1.ConditionFalse, Message: message}
	if healthy {
		condition.Status = corev1.ConditionTrue
	}
	return &corev1.ComponentStatus{ObjectMeta: metav1.ObjectMeta{Name: c.Name}, Conditions: []corev1.ComponentCondition{condition}}
}
