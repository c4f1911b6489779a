package compare

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

type object = map[string]any

func status(reason string, causes ...string) object {
	list := []any{}
	for _, c := range causes {
		r, f, _ := strings.Cut(c, " ")
		list = append(list, object{"reason": "FieldValue" + r, "field": f})
	}
	return object{"kind": "Status", "reason": reason, "message": reason, "details": object{"name": "a", "causes": list}}
}

func TestAnswers(t *testing.T) {
	pod := func(change func(meta object)) object {
		meta := object{"name": "a", "uid": "11111111-2222-3333-4444-555555555555", "creationTimestamp": "2026-01-02T03:04:05Z", "resourceVersion": "4"}
		change(meta)
		return object{"metadata": meta}
	}
	none := func(object) {}
	for name, tt := range map[string]struct {
		a, b Answer
		want []Difference
	}{
		"identity and time are by nature": {Answer{Code: 200, Body: pod(none)}, Answer{Code: 200, Body: pod(func(m object) {
			m["uid"], m["creationTimestamp"], m["resourceVersion"] = "99999999-2222-3333-4444-555555555555", "2027-01-02T03:04:05Z", "77"
		})}, nil},
		"a time that is missing": {Answer{Code: 200, Body: pod(none)}, Answer{Code: 200, Body: pod(func(m object) { m["creationTimestamp"] = nil })},
			[]Difference{`object .metadata.creationTimestamp: "SET" / null`}},
		"a field of one":      {Answer{Code: 200, Body: pod(func(m object) { m["generation"] = 1.0 })}, Answer{Code: 200, Body: pod(none)}, []Difference{"object .metadata.generation: 1 / absent"}},
		"codes":               {Answer{Code: 201, Body: pod(none)}, Answer{Code: 422, Body: status("Invalid", "Required spec.a")}, []Difference{"code 201 / 422: Required spec.a"}},
		"codes, no causes":    {Answer{Code: 409, Body: object{"message": `the "a" is there`}}, Answer{Code: 200}, []Difference{`code 409 / 200: the "…" is there`}},
		"same refusal":        {Answer{Code: 422, Body: status("Invalid", "Required a", "Invalid b")}, Answer{Code: 422, Body: status("Invalid", "Invalid b", "Required a")}, nil},
		"causes":              {Answer{Code: 422, Body: status("Invalid", "Required a[0].b")}, Answer{Code: 422, Body: status("Invalid", "Invalid a[0].b")}, []Difference{"causes: only upstream [Required a[].b], only ours [Invalid a[].b]"}},
		"reasons":             {Answer{Code: 403, Body: status("Forbidden")}, Answer{Code: 403, Body: status("Invalid")}, []Difference{"reason Forbidden / Invalid: Forbidden / Invalid"}},
		"warnings":            {Answer{Code: 200, Warnings: []string{"b", "a"}}, Answer{Code: 200, Warnings: []string{"a"}}, []Difference{`warnings: ["b"] / []`}},
		"warnings in any row": {Answer{Code: 200, Warnings: []string{"b", "a"}}, Answer{Code: 200, Warnings: []string{"a", "b"}}, nil},
		"lists":               {Answer{Code: 200, Body: object{"a": []any{1.0}}}, Answer{Code: 200, Body: object{"a": []any{1.0, 2.0}}}, []Difference{"object .a: [1] / [1,2]"}},
		"allocated":           {Answer{Code: 200, Body: object{"clusterIP": "10.96.1.2", "nodePort": 30001.0}}, Answer{Code: 200, Body: object{"clusterIP": "10.96.9.9", "nodePort": 31000.0}}, nil},
		"chosen":              {Answer{Code: 200, Body: object{"clusterIP": "10.97.1.2", "port": 30001.0}}, Answer{Code: 200, Body: object{"clusterIP": "10.97.9.9", "port": 31000.0}}, []Difference{`object .clusterIP: "10.97.1.2" / "10.97.9.9"`, "object .port: 30001 / 31000"}},
		"ages": {Answer{Code: 200, Body: object{"kind": "Table", "rows": []any{object{"cells": []any{"a", "3s"}}}}},
			Answer{Code: 200, Body: object{"kind": "Table", "rows": []any{object{"cells": []any{"a", "2m5s"}}}}}, nil},
		"cells": {Answer{Code: 200, Body: object{"kind": "Table", "rows": []any{object{"cells": []any{"a", "3s"}}}}},
			Answer{Code: 200, Body: object{"kind": "Table", "rows": []any{object{"cells": []any{"b", "3"}}}}}, []Difference{`object .rows[].cells[]: "a" / "b"`, `object .rows[].cells[]: "AGE" / "3"`}},
	} {
		if got := Answers(tt.a, tt.b); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// A token is what it claims.
func TestTokens(t *testing.T) {
	token := func(claims string) object { return object{"token": "e30." + claims + ".x"} }
	a := token("eyJzdWIiOiJhIiwiZXhwIjoxfQ") // {"sub":"a","exp":1}
	b := token("eyJzdWIiOiJhIiwiZXhwIjoyfQ") // {"sub":"a","exp":2}
	c := token("eyJzdWIiOiJiIiwiZXhwIjoxfQ") // {"sub":"b","exp":1}
	if d := Answers(Answer{Code: 201, Body: a}, Answer{Code: 201, Body: b}); len(d) != 0 {
		t.Errorf("%q", d)
	}
	if d := Answers(Answer{Code: 201, Body: a}, Answer{Code: 201, Body: c}); len(d) != 1 {
		t.Errorf("%q", d)
	}
}

func TestExceptionsCoverAllOfAnAnswer(t *testing.T) {
	x := Exceptions{
		{Kind: "Pod", Operation: "create*", Matches: regexp.MustCompile("^a"), Reason: "a is meant"},
		{Matches: regexp.MustCompile("b$"), Reason: "b is meant"},
		{Matches: regexp.MustCompile("never"), Reason: "never"},
	}
	for _, tt := range []struct {
		kind, operation string
		diffs           []Difference
		want            bool
	}{
		{"Pod", "create", []Difference{"ax"}, true},
		{"Pod", "create binding", []Difference{"ax", "xb"}, true},
		{"Pod", "create", []Difference{"ax", "c"}, false},
		{"Pod", "update", []Difference{"ax"}, false},
		{"Node", "create", []Difference{"ax"}, false},
		{"Node", "update", []Difference{"xb"}, true},
		{"Pod", "create", nil, false},
	} {
		if _, got := x.Cover(tt.kind, tt.operation, tt.diffs); got != tt.want {
			t.Errorf("%s %s %q: %v", tt.kind, tt.operation, tt.diffs, got)
		}
	}
	if left := x.Unseen(); len(left) != 1 || left[0].Reason != "never" {
		t.Errorf("%v", left)
	}
}
