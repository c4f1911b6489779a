package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// duration accepts what time.ParseDuration does.
type duration struct{}

// Description is part of an error's text.
func (duration) Description(context.Context) string {
	return "a positive duration such as 90s, 5m or 24h"
}

// MarkdownDescription is the same.
func (d duration) MarkdownDescription(ctx context.Context) string { return d.Description(ctx) }

// ValidateString refuses what is no positive duration.
func (d duration) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if v, err := time.ParseDuration(req.ConfigValue.ValueString()); err != nil || v <= 0 {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a duration", fmt.Sprintf("%q: expected %s.", req.ConfigValue.ValueString(), d.Description(ctx)))
	}
}
