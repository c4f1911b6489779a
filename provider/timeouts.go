package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

// operationLimit is how long an operation may take where the configuration does
// not say. What one host may take is bounded by less.
const operationLimit = time.Hour

func timeoutsAttribute(ctx context.Context) schema.Attribute {
	const of = "How long all servers together may take, such as `30m` (default `1h`). What is not done by then is pending, and the next apply takes it up."
	a := timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, Update: true, Delete: true, CreateDescription: of, UpdateDescription: of,
		DeleteDescription: "How long it may take, such as `30m` (default `1h`). A destroy goes on where it was stopped.",
	}).(schema.SingleNestedAttribute) // as its documentation has it
	a.MarkdownDescription = "How long operations may take."
	return a
}

// limited bounds an operation by what the configuration says of it.
func limited(ctx context.Context, of func(context.Context, time.Duration) (time.Duration, diag.Diagnostics), diags *diag.Diagnostics) (context.Context, context.CancelFunc) {
	limit, d := of(ctx, operationLimit)
	diags.Append(d...)
	return context.WithTimeout(ctx, limit)
}
