package registry

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// expressions compile the CEL of the objects of one kind, with the libraries' compiler
// that evaluates them later.
type expressions struct {
	// plain is made with the first write: its environment is large.
	plain func() plugincel.Compiler
}

func environmentOf() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
}

func newExpressions() *expressions {
	return &expressions{plain: sync.OnceValue(func() plugincel.Compiler { return plugincel.NewCompiler(environmentOf()) })}
}

// errors are those of expressions that do not compile, or do not give what they must. old
// are those of the object as it was: where nothing about them changes they are not looked
// at, and those that stay may use what only later servers accept in new ones.
func (e *expressions) errors(list, old []kind.Expression) field.ErrorList {
	if len(list) == 0 || slices.EqualFunc(list, old, same) {
		return nil
	}
	if list[0].Sort == kind.DeviceExpression { // a kind has these or others
		return deviceErrors(list)
	}
	compiler, variables, err := e.compilers(list)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	var errs field.ErrorList
	for _, x := range list {
		mode := environment.NewExpressions
		if slices.ContainsFunc(old, func(o kind.Expression) bool { return o.Sort == x.Sort && o.Text == x.Text }) {
			mode = environment.StoredExpressions
		}
		knows := plugincel.OptionalVariableDeclarations{
			HasParams: x.Params, HasAuthorizer: x.Sort != kind.MessageExpression,
			HasPatchTypes: x.Sort == kind.ApplyExpression || x.Sort == kind.PatchExpression,
		}
		var result plugincel.CompilationResult
		switch x.Sort {
		case kind.VariableExpression:
			result = variables.CompileAndStoreVariable(&validating.Variable{Name: x.Name, Expression: x.Text}, knows, mode)
		case kind.MatchExpression:
			result = e.plain().CompileCELExpression(accessorOf(x), knows, mode)
		default:
			result = compiler.CompileCELExpression(accessorOf(x), knows, mode)
		}
		if result.Error != nil {
			errs = append(errs, expressionError(x, result.Error))
		}
	}
	return errs
}

// compilers are that of expressions, and that of the variables that they know; nil where
// there are none.
func (e *expressions) compilers(list []kind.Expression) (plugincel.Compiler, *plugincel.CompositedCompiler, error) {
	if !slices.ContainsFunc(list, func(x kind.Expression) bool { return x.Sort == kind.VariableExpression }) {
		return e.plain(), nil, nil
	}
	c, err := plugincel.NewCompositedCompiler(environmentOf())
	return c, c, err
}

func same(a, b kind.Expression) bool {
	return a.Sort == b.Sort && a.Text == b.Text && a.Name == b.Name && a.Params == b.Params && a.Path.String() == b.Path.String()
}

// accessorOf is an expression as the compiler takes it, by which it knows what it gives.
func accessorOf(x kind.Expression) plugincel.ExpressionAccessor {
	switch x.Sort {
	case kind.ValidationExpression:
		return &validating.ValidationCondition{Expression: x.Text}
	case kind.MessageExpression:
		return &validating.MessageExpressionCondition{MessageExpression: x.Text}
	case kind.AuditExpression:
		return &validating.AuditAnnotationCondition{ValueExpression: x.Text}
	case kind.ApplyExpression:
		return &patch.ApplyConfigurationCondition{Expression: x.Text}
	case kind.PatchExpression:
		return &patch.JSONPatchCondition{Expression: x.Text}
	}
	return &matchconditions.MatchCondition{Expression: x.Text}
}

func expressionError(x kind.Expression, err *cel.Error) *field.Error {
	switch err.Type {
	case cel.ErrorTypeRequired:
		return field.Required(x.Path, err.Detail)
	case cel.ErrorTypeInvalid:
		return field.Invalid(x.Path, x.Text, err.Detail)
	}
	return field.InternalError(x.Path, err)
}
