package kind

import "k8s.io/apimachinery/pkg/util/validation/field"

// Expression is a CEL expression in an object. The rows only name theirs: the compiler is
// of k8s.io/apiserver, and the registry has it.
type Expression struct {
	Path *field.Path
	Text string
	Sort ExpressionSort
	// Name is how those that follow call it, of a variable.
	Name string
	// Params says that it knows the parameters of a policy.
	Params bool
}

// ExpressionSort says what an expression knows, and what it must give.
type ExpressionSort string

// The sorts of expressions.
const (
	// MatchExpression says whether a request is looked at.
	MatchExpression ExpressionSort = "match condition"
	// VariableExpression is named, and used by all but match conditions.
	VariableExpression ExpressionSort = "variable"
	// ValidationExpression says whether a request is good.
	ValidationExpression ExpressionSort = "validation"
	// MessageExpression says why it is not.
	MessageExpression ExpressionSort = "message"
	// AuditExpression is what is written into the audit log.
	AuditExpression ExpressionSort = "audit annotation"
	// ApplyExpression and PatchExpression change an object.
	ApplyExpression ExpressionSort = "apply configuration"
	PatchExpression ExpressionSort = "JSON patch"
	// DeviceExpression says whether a device will do.
	DeviceExpression ExpressionSort = "device selector"
)
