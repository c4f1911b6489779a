package quota

import (
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiquota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/utils/clock"
)

// Lists returns the list function of a kind. It may return nil where nothing is
// added up, as in admission.
type Lists func(schema.GroupResource) generic.ListFuncByNamespace

// Unlisted is for admission, which only asks what single objects cost.
func Unlisted(schema.GroupResource) generic.ListFuncByNamespace { return nil }

// Evaluators are those of pods, Services and claims, be it of volumes or of devices.
func Evaluators(lists Lists, c clock.PassiveClock) []apiquota.Evaluator {
	return []apiquota.Evaluator{pods(lists, c), services(lists), claims(lists), deviceClaims(lists)}
}

// CountAliases are the names of kinds that were counted before every kind was.
func CountAliases() map[schema.GroupResource]corev1.ResourceName {
	return map[schema.GroupResource]corev1.ResourceName{
		corev1.Resource("configmaps"):             corev1.ResourceConfigMaps,
		corev1.Resource("resourcequotas"):         corev1.ResourceQuotas,
		corev1.Resource("replicationcontrollers"): corev1.ResourceReplicationControllers,
		corev1.Resource("secrets"):                corev1.ResourceSecrets,
	}
}

// Count is the evaluator of a kind that is counted only.
func Count(lists Lists, gr schema.GroupResource) apiquota.Evaluator {
	return generic.NewObjectCountEvaluator(gr, lists(gr), CountAliases()[gr])
}

// Counted returns the kind that a resource of a quota counts, unless it has rules of
// its own or is not counted: "secrets" and "count/deployments.apps" are, "pods" and
// "count/services" have rules.
func Counted(name corev1.ResourceName) (schema.GroupResource, bool) {
	for gr, alias := range CountAliases() {
		if name == alias {
			return gr, true
		}
	}
	of, ok := strings.CutPrefix(string(name), "count/")
	if !ok {
		return schema.GroupResource{}, false
	}
	gr := schema.ParseGroupResource(of)
	switch gr {
	case corev1.Resource("pods"), corev1.Resource("services"), corev1.Resource("persistentvolumeclaims"), resourcev1.Resource("resourceclaims"):
		return schema.GroupResource{}, false
	}
	return gr, !Ignored()[gr]
}

// Ignored are kinds that no quota counts: events, and what is not stored.
func Ignored() map[schema.GroupResource]bool {
	out := map[schema.GroupResource]bool{}
	for _, gr := range []schema.GroupResource{
		corev1.Resource("bindings"), corev1.Resource("componentstatuses"), corev1.Resource("events"), eventsv1.Resource("events"),
		authenticationv1.Resource("tokenreviews"), authenticationv1.Resource("selfsubjectreviews"),
		authorizationv1.Resource("subjectaccessreviews"), authorizationv1.Resource("selfsubjectaccessreviews"),
		authorizationv1.Resource("localsubjectaccessreviews"), authorizationv1.Resource("selfsubjectrulesreviews"),
	} {
		out[gr] = true
	}
	return out
}

// ForAdmission is what the admission plugin charges by. Kinds that are counted only
// it finds by itself.
func ForAdmission(c clock.PassiveClock) apiquota.Configuration {
	evaluators := Evaluators(Unlisted, c)
	for gr := range CountAliases() {
		evaluators = append(evaluators, Count(Unlisted, gr))
	}
	ignored := map[schema.GroupResource]struct{}{}
	for gr := range Ignored() {
		ignored[gr] = struct{}{}
	}
	return generic.NewConfiguration(evaluators, ignored)
}

func countName(gr schema.GroupResource) corev1.ResourceName {
	return generic.ObjectCountQuotaResourceNameFor(gr)
}
