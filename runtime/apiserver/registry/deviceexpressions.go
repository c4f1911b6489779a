package registry

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/cel/environment"
	dracel "k8s.io/dynamic-resource-allocation/cel"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// deviceErrors are those of expressions that do not compile, or may cost more than the
// scheduler spends on a device. The compiler is the one that the scheduler has.
func deviceErrors(list []kind.Expression) field.ErrorList {
	compiler := dracel.GetCompiler(dracel.Features{EnableConsumableCapacity: true})
	var errs field.ErrorList
	for _, x := range list {
		if len(x.Text) > resourcev1.CELSelectorExpressionMaxLength {
			errs = append(errs, field.TooLong(x.Path, "", resourcev1.CELSelectorExpressionMaxLength))
			continue
		}
		result := compiler.CompileCELExpression(x.Text, dracel.Options{EnvType: ptr.To(environment.NewExpressions)})
		switch {
		case result.Error != nil:
			errs = append(errs, expressionError(x, result.Error))
		case result.MaxCost > resourcev1.CELSelectorExpressionMaxCost:
			errs = append(errs, field.Forbidden(x.Path, "too complex, exceeds cost limit"))
		}
	}
	return errs
}
