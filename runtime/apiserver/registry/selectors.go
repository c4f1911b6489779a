package registry

import (
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// selected gives the selectors of a question to who decides. One that cannot be read
// is told to the authorizer, which decides as if there were none.
func selected(attrs *authorizer.AttributesRecord, r *authorizationv1.ResourceAttributes) error {
	if s := r.FieldSelector; s != nil {
		if err := oneForm("fieldSelector", s.RawSelector, len(s.Requirements)); err != nil {
			return err
		}
		attrs.FieldSelectorRequirements, attrs.FieldSelectorParsingErr = fieldRequirements(s)
	}
	if s := r.LabelSelector; s != nil {
		if err := oneForm("labelSelector", s.RawSelector, len(s.Requirements)); err != nil {
			return err
		}
		attrs.LabelSelectorRequirements, attrs.LabelSelectorParsingErr = labelRequirements(s)
	}
	return nil
}

func oneForm(name, raw string, requirements int) error {
	if (raw == "") == (requirements == 0) {
		return errors.NewBadRequest(fmt.Sprintf("spec.resourceAttributes.%s: exactly one of rawSelector and requirements must be specified", name))
	}
	return nil
}

func fieldRequirements(s *authorizationv1.FieldSelectorAttributes) (fields.Requirements, error) {
	if s.RawSelector != "" {
		parsed, err := fields.ParseSelector(s.RawSelector)
		if err != nil {
			return nil, err
		}
		return parsed.Requirements(), nil
	}
	var out fields.Requirements
	var unread error
	for _, r := range s.Requirements {
		op := selection.Equals
		switch r.Operator {
		case metav1.FieldSelectorOpIn:
		case metav1.FieldSelectorOpNotIn:
			op = selection.NotEquals
		default:
			unread = fmt.Errorf("operator %q of field %s is not known", r.Operator, r.Key)
			continue
		}
		if len(r.Values) != 1 {
			unread = fmt.Errorf("operator %s of field %s takes one value", r.Operator, r.Key)
			continue
		}
		out = append(out, fields.Requirement{Field: r.Key, Operator: op, Value: r.Values[0]})
	}
	return out, unread
}

func labelRequirements(s *authorizationv1.LabelSelectorAttributes) (labels.Requirements, error) {
	if s.RawSelector != "" {
		parsed, err := labels.Parse(s.RawSelector)
		if err != nil {
			return nil, err
		}
		requirements, _ := parsed.Requirements()
		return requirements, nil
	}
	parsed, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchExpressions: s.Requirements})
	if err != nil {
		return nil, err
	}
	requirements, _ := parsed.Requirements()
	return requirements, nil
}
