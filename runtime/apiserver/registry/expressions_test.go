package registry

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func expression(sort kind.ExpressionSort, text string) kind.Expression {
	return kind.Expression{Path: field.NewPath("x"), Text: text, Sort: sort}
}

func withParams(x kind.Expression) kind.Expression {
	x.Params = true
	return x
}

func variable(name, text string) kind.Expression {
	x := expression(kind.VariableExpression, text)
	x.Path, x.Name = field.NewPath("v"), name
	return x
}

func TestExpressions(t *testing.T) {
	e := newExpressions()
	type list = []kind.Expression
	const match, valid, message, audit = kind.MatchExpression, kind.ValidationExpression, kind.MessageExpression, kind.AuditExpression
	for what, tt := range map[string]struct {
		list, old list
		want      string // of the error
	}{
		"none":                            {nil, nil, ""},
		"a condition":                     {list{expression(match, "request.operation == 'CREATE' && authorizer.group('').resource('pods').check('get').allowed()")}, nil, ""},
		"one that does not compile":       {list{expression(match, "object.")}, nil, "x: Invalid value: \"object.\": compilation failed"},
		"one that says neither":           {list{expression(match, "'a'")}, nil, "must evaluate to bool but got string"},
		"unknown names":                   {list{expression(match, "nobody == 1")}, nil, "undeclared reference to 'nobody'"},
		"no parameters":                   {list{expression(valid, "params.a == 'b'")}, nil, "undeclared reference to 'params'"},
		"parameters":                      {list{withParams(expression(valid, "params.a == 'b'"))}, nil, ""},
		"parameters of a condition":       {list{withParams(expression(match, "params.a == 'b'"))}, nil, ""},
		"a message":                       {list{expression(message, "'it is ' + object.metadata.name")}, nil, ""},
		"a message that is none":          {list{expression(message, "1")}, nil, "must evaluate to string but got int"},
		"a message that asks":             {list{expression(message, "authorizer.group('').resource('pods').check('get').reason()")}, nil, "undeclared reference to 'authorizer'"},
		"a note":                          {list{expression(audit, "null")}, nil, ""},
		"a note that is none":             {list{expression(audit, "1")}, nil, "must evaluate to one of"},
		"a variable":                      {list{variable("a", "1"), expression(valid, "variables.a == 1")}, nil, ""},
		"a variable that is not there":    {list{variable("a", "1"), expression(valid, "variables.b == 1")}, nil, "undefined field 'b'"},
		"a variable of another type":      {list{variable("a", "1"), expression(valid, "variables.a == 'x'")}, nil, "found no matching overload"},
		"a variable of a variable":        {list{variable("a", "1"), variable("b", "variables.a + 1"), expression(valid, "variables.b == 2")}, nil, ""},
		"a variable that comes later":     {list{variable("b", "variables.a + 1"), variable("a", "1")}, nil, "undefined field 'a'"},
		"variables without any":           {list{expression(valid, "variables.a == 1")}, nil, "undeclared reference to 'variables'"},
		"a condition knows no variables":  {list{variable("a", "1"), expression(match, "variables.a == 1")}, nil, "undeclared reference to 'variables'"},
		"a change":                        {list{expression(kind.ApplyExpression, "Object{metadata: Object.metadata{labels: {'a': 'b'}}}")}, nil, ""},
		"a change that is none":           {list{expression(kind.ApplyExpression, "true")}, nil, "must evaluate to Object but got bool"},
		"a patch":                         {list{expression(kind.PatchExpression, "[JSONPatch{op: 'remove', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b')}]")}, nil, ""},
		"a patch that is none":            {list{expression(kind.PatchExpression, "['a']")}, nil, "must evaluate to"},
		"changes are of mutations only":   {list{expression(valid, "Object{} != null")}, nil, "undeclared reference to 'Object'"},
		"what was stored before is kept":  {list{expression(match, "object.")}, list{expression(match, "object.")}, ""},
		"but not beside something new":    {list{expression(match, "object."), expression(match, "true")}, list{expression(match, "object.")}, "compilation failed"},
		"nor once it has lost parameters": {list{expression(valid, "params.a == 'b'")}, list{withParams(expression(valid, "params.a == 'b'"))}, "undeclared reference to 'params'"},
	} {
		got := ""
		if err := e.errors(tt.list, tt.old).ToAggregate(); err != nil {
			got = err.Error()
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", what, got, tt.want)
		}
	}
}
