package registry

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func TestSelectorsOfQuestions(t *testing.T) {
	type fieldSelector = authorizationv1.FieldSelectorAttributes
	type labelSelector = authorizationv1.LabelSelectorAttributes
	in := func(op metav1.FieldSelectorOperator, values ...string) []metav1.FieldSelectorRequirement {
		return []metav1.FieldSelectorRequirement{{Key: "spec.nodeName", Operator: op, Values: values}}
	}
	for name, tt := range map[string]struct {
		fields          *fieldSelector
		labels          *labelSelector
		want            string // the requirements
		unread, refused bool
	}{
		"none":                 {want: ""},
		"raw":                  {fields: &fieldSelector{RawSelector: "spec.nodeName=a"}, want: "spec.nodeName=a;"},
		"one value":            {fields: &fieldSelector{Requirements: in("In", "a")}, want: "spec.nodeName=a;"},
		"not that value":       {fields: &fieldSelector{Requirements: in("NotIn", "a")}, want: "spec.nodeName!=a;"},
		"two values":           {fields: &fieldSelector{Requirements: in("In", "a", "b")}, unread: true},
		"another operator":     {fields: &fieldSelector{Requirements: in("Exists")}, unread: true},
		"no selector":          {fields: &fieldSelector{RawSelector: "a=b=c,,"}, unread: true},
		"both forms":           {fields: &fieldSelector{RawSelector: "a=b", Requirements: in("In", "a")}, refused: true},
		"neither form":         {fields: &fieldSelector{}, refused: true},
		"raw labels":           {labels: &labelSelector{RawSelector: "a=b"}, want: "a=b;"},
		"labels":               {labels: &labelSelector{Requirements: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In", Values: []string{"b"}}}}, want: "a in (b);"},
		"no labels":            {labels: &labelSelector{RawSelector: "a in"}, unread: true},
		"labels that are none": {labels: &labelSelector{Requirements: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Odd"}}}, unread: true},
		"both forms of labels": {labels: &labelSelector{}, refused: true},
	} {
		var attrs authorizer.AttributesRecord
		r := &authorizationv1.ResourceAttributes{FieldSelector: tt.fields, LabelSelector: tt.labels}
		if errs := selectorErrors(r); (len(errs) > 0) != tt.refused {
			t.Errorf("%s: %v", name, errs)
		}
		if tt.refused {
			continue
		}
		selected(&attrs, r)
		got := ""
		fields, fieldErr := attrs.GetFieldSelector()
		for _, r := range fields {
			got += r.Field + string(r.Operator) + r.Value + ";"
		}
		labels, labelErr := attrs.GetLabelSelector()
		for _, r := range labels {
			got += r.String() + ";"
		}
		if got != tt.want || (fieldErr != nil || labelErr != nil) != tt.unread {
			t.Errorf("%s: %q, %v, %v", name, got, fieldErr, labelErr)
		}
	}
}

func TestOneQuestion(t *testing.T) {
	resource := &authorizationv1.ResourceAttributes{Verb: "get"}
	path := &authorizationv1.NonResourceAttributes{Path: "/"}
	for name, tt := range map[string]struct {
		r    *authorizationv1.ResourceAttributes
		n    *authorizationv1.NonResourceAttributes
		errs int
	}{
		"a resource":              {resource, nil, 0},
		"a path":                  {nil, path, 0},
		"neither":                 {nil, nil, 1},
		"both":                    {resource, path, 1},
		"both, and selects badly": {&authorizationv1.ResourceAttributes{LabelSelector: &authorizationv1.LabelSelectorAttributes{}}, path, 2},
	} {
		if errs := oneQuestion(tt.r, tt.n); len(errs) != tt.errs {
			t.Errorf("%s: %v", name, errs)
		}
	}
}
