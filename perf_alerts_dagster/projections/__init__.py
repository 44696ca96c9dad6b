"""Projections of P&L, issued from rows before their date, and rules calibrated by them."""
