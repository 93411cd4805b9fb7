package ssmparam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ram"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// The SDK's paginators take interfaces. A conversion of a client to an interface would
// make the linker keep all operations of the service, so these types have one operation.
type (
	historyFunc      func(context.Context, *ssm.GetParameterHistoryInput, ...func(*ssm.Options)) (*ssm.GetParameterHistoryOutput, error)
	sharesFunc       func(context.Context, *ram.GetResourceSharesInput, ...func(*ram.Options)) (*ram.GetResourceSharesOutput, error)
	associationsFunc func(context.Context, *ram.GetResourceShareAssociationsInput, ...func(*ram.Options)) (*ram.GetResourceShareAssociationsOutput, error)
)

func (f historyFunc) GetParameterHistory(ctx context.Context, in *ssm.GetParameterHistoryInput, options ...func(*ssm.Options)) (*ssm.GetParameterHistoryOutput, error) {
	return f(ctx, in, options...)
}

func (f sharesFunc) GetResourceShares(ctx context.Context, in *ram.GetResourceSharesInput, options ...func(*ram.Options)) (*ram.GetResourceSharesOutput, error) {
	return f(ctx, in, options...)
}

func (f associationsFunc) GetResourceShareAssociations(ctx context.Context, in *ram.GetResourceShareAssociationsInput, options ...func(*ram.Options)) (*ram.GetResourceShareAssociationsOutput, error) {
	return f(ctx, in, options...)
}
