package apps

import (
	"maps"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func daemonSet() kind.Kind {
	return kind.Kind{
		GVK:        appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
		Resource:   "daemonsets",
		Generation: true,
		ShortNames: []string{"ds"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,

		Default:          kind.On(SetObjectDefaults_DaemonSet, defaultDaemonSet),
		PrepareForCreate: kind.On(func(d *appsv1.DaemonSet) { setTemplateGeneration(d, 1) }),
		PrepareForUpdate: kind.OnUpdate(func(d, old *appsv1.DaemonSet) {
			n := templateGeneration(old)
			if !equality.Semantic.DeepEqual(d.Spec.Template, old.Spec.Template) {
				n++
			}
			setTemplateGeneration(d, n)
		}),
		Drop: kind.On(func(d *appsv1.DaemonSet) { core.DropDisabled(&d.Spec.Template) }),
		Unsupported: kind.Check(func(d *appsv1.DaemonSet) field.ErrorList {
			return core.UnsupportedPodTemplate(&d.Spec.Template, field.NewPath("spec", "template"))
		}),
		Declared: kind.Declared(Validate_DaemonSet),
		Validate: kind.Check(validateDaemonSet),
		ValidateUpdate: kind.CheckUpdate(func(d, old *appsv1.DaemonSet) field.ErrorList {
			return validate.Immutable(d.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
		}),
		ValidateStatusUpdate: kind.CheckUpdate(validateDaemonSetStatus),

		WarningsOnCreate: kind.Warnings(daemonSetWarnings),
		WarningsOnUpdate: kind.UpdateWarnings(func(o, old *appsv1.DaemonSet) []string {
			if equality.Semantic.DeepEqual(o.Spec.Template, old.Spec.Template) {
				return nil
			}
			return daemonSetWarnings(o)
		}),
		Columns: printers.Columns("Name", "#Desired", "#Current", "#Ready", "#Up-to-date", "#Available", "Node Selector", "Age",
			"+Containers", "+Images", "+Selector"),
		Cells: kind.Cells(func(d *appsv1.DaemonSet, now time.Time) []any {
			s := d.Status
			names, refs := printers.Images(d.Spec.Template.Spec.Containers)
			return []any{
				d.Name, int64(s.DesiredNumberScheduled), int64(s.CurrentNumberScheduled), int64(s.NumberReady),
				int64(s.UpdatedNumberScheduled), int64(s.NumberAvailable), printers.Labels(d.Spec.Template.Spec.NodeSelector),
				printers.Age(d.ObjectMeta, now), names, refs, printers.Selector(d.Spec.Selector),
			}
		}),
	}
}

func defaultDaemonSet(d *appsv1.DaemonSet) {
	if _, ok := d.Annotations[appsv1.DeprecatedTemplateGeneration]; !ok {
		setTemplateGeneration(d, 0)
	}
	s := &d.Spec
	kind.SetDefaultPtr(&s.RevisionHistoryLimit, defaultHistory)
	kind.SetDefault(&s.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		kind.SetDefaultPtr(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		kind.SetDefaultPtr(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		kind.SetDefaultPtr(&s.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	core.DefaultPodTemplate(&s.Template)
}

func validateDaemonSet(d *appsv1.DaemonSet) field.ErrorList {
	s, spec := &d.Spec, field.NewPath("spec")
	// Unlike other kinds', a selector that cannot be read is told of once.
	errs := validate.LabelSelector(s.Selector, spec.Child("selector"))
	if s.Selector != nil && len(s.Selector.MatchLabels)+len(s.Selector.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(spec.Child("selector"), s.Selector, "empty selector is invalid for daemonset"))
	}
	errs = append(errs, validate.SelectsTemplate(s.Selector, s.Template.Labels, spec)...)
	errs = append(errs, core.ValidatePodTemplate(&s.Template, spec.Child("template"), corev1.RestartPolicyAlways)...)
	errs = append(errs, core.NoActiveDeadline(&s.Template, spec)...)
	errs = append(errs, validate.NonNegative(s.MinReadySeconds, spec.Child("minReadySeconds"))...)
	errs = append(errs, validate.NonNegativePtr(s.RevisionHistoryLimit, spec.Child("revisionHistoryLimit"))...)

	strategy := spec.Child("updateStrategy")
	switch s.UpdateStrategy.Type {
	case appsv1.OnDeleteDaemonSetStrategyType:
		return errs
	case appsv1.RollingUpdateDaemonSetStrategyType:
	default:
		return append(errs, field.NotSupported(strategy, &s.UpdateStrategy,
			[]string{string(appsv1.RollingUpdateDaemonSetStrategyType), string(appsv1.OnDeleteDaemonSetStrategyType)}))
	}
	r, rolling := s.UpdateStrategy.RollingUpdate, strategy.Child("rollingUpdate")
	if r == nil {
		return append(errs, field.Required(rolling, ""))
	}
	errs = append(errs, validate.IntOrPercent(r.MaxUnavailable, 100, rolling.Child("maxUnavailable"))...)
	errs = append(errs, validate.IntOrPercent(r.MaxSurge, 100, rolling.Child("maxSurge"))...)
	// A node has room for one pod of a set, so there is no third way.
	switch takes, adds := !validate.IsZero(r.MaxUnavailable), r.MaxSurge != nil && !validate.IsZero(r.MaxSurge); {
	case takes && adds:
		errs = append(errs, field.Invalid(rolling.Child("maxSurge"), r.MaxSurge.String(), "may not be set when maxUnavailable is non-zero"))
	case !takes && !adds:
		errs = append(errs, field.Required(rolling.Child("maxUnavailable"), "cannot be 0 when maxSurge is 0"))
	}
	return errs
}

func daemonSetWarnings(d *appsv1.DaemonSet) []string {
	return core.TemplateWarnings(&d.Spec.Template, field.NewPath("spec", "template"))
}

func validateDaemonSetStatus(d, old *appsv1.DaemonSet) field.ErrorList {
	s, path := d.Status, field.NewPath("status")
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		n    int32
	}{
		{"currentNumberScheduled", s.CurrentNumberScheduled},
		{"numberMisscheduled", s.NumberMisscheduled},
		{"desiredNumberScheduled", s.DesiredNumberScheduled},
		{"numberReady", s.NumberReady},
		{"updatedNumberScheduled", s.UpdatedNumberScheduled},
		{"numberAvailable", s.NumberAvailable},
		{"numberUnavailable", s.NumberUnavailable},
	} {
		errs = append(errs, validate.NonNegative(f.n, path.Child(f.name))...)
	}
	errs = append(errs, validate.NonNegative(s.ObservedGeneration, path.Child("observedGeneration"))...)
	return append(errs, validate.CollisionCount(s.CollisionCount, old.Status.CollisionCount, path.Child("collisionCount"))...)
}

// templateGeneration counts the changes of the template, in an annotation that old clients
// read. Nobody else sets it.
func templateGeneration(d *appsv1.DaemonSet) int64 {
	n, err := strconv.ParseInt(d.Annotations[appsv1.DeprecatedTemplateGeneration], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func setTemplateGeneration(d *appsv1.DaemonSet, n int64) {
	annotations := maps.Clone(d.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[appsv1.DeprecatedTemplateGeneration] = strconv.FormatInt(n, 10)
	d.Annotations = annotations
}
