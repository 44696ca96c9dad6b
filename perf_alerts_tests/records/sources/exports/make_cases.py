"""Make the small exports of the recipes in docs/exports.md, with the figures of each tool.

    python make_cases.py pandas quantstats ...

Prices are made up. Where the tool is a Python package, it writes the file and computes the figures
(its package must be installed, in an environment of its own); the files of the others are written
here in their form, and the figures by their formula, over the same numbers.
"""

# mypy: ignore-errors
# The packages of the tools are not installed where the types are checked.

import csv
import io
import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent / "cases"
FIGURES = FOLDER / "figures.json"


def returns(seed: int, count: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0008, 0.011, count)


def weekdays(count: int = 60) -> list[date]:
    days = [date(2025, 1, 2) + timedelta(days=number) for number in range(2 * count)]
    return [day for day in days if day.weekday() < 5][:count]


def series(seed: int, name: str = "trend") -> "pd.Series":
    import pandas as pd

    index = pd.DatetimeIndex(weekdays(), name="Date")
    return pd.Series(returns(seed), index=index, name=name)


def drawdown(levels: np.ndarray) -> float:
    return float((levels / np.maximum.accumulate(levels) - 1).min())


def figures(values: np.ndarray, year: int = 252) -> dict[str, float]:
    """The usual figures of daily returns."""
    levels = np.concatenate(([1.0], (1 + values).cumprod()))
    return {
        "total": levels[-1] - 1,
        "sharpe": values.mean() / values.std(ddof=1) * np.sqrt(year),
        "max_drawdown": drawdown(levels),
    }


def pandas() -> dict:
    import pandas as pd

    frame = pd.DataFrame({"trend": series(1), "carry": series(2)})
    frame.to_csv(FOLDER / "pandas.csv")
    year = np.sqrt(252)
    levels = pd.concat([pd.DataFrame(1.0, [pd.Timestamp(0)], frame.columns), (1 + frame).cumprod()])
    found = {
        "total": levels.iloc[-1] - 1,
        "sharpe": frame.mean() / frame.std() * year,
        "max_drawdown": (levels / levels.cummax() - 1).min(),
    }
    return {name: {key: float(found[key][name]) for key in found} for name in frame}


def polars() -> dict:
    import polars as pl

    values = returns(3)
    pl.DataFrame({"date": weekdays(), "trend": values, "carry": -values}).write_parquet(
        FOLDER / "polars.parquet"
    )
    return {"trend": figures(values), "carry": figures(-values)}


def duckdb() -> dict:
    import duckdb
    import pandas as pd

    values = returns(4)
    frame = pd.DataFrame({"day": weekdays(), "ret": values})
    assert len(frame) == 60
    duckdb.sql(f"COPY (SELECT day, ret FROM frame) TO '{FOLDER / 'duckdb.csv'}' (HEADER)")
    duckdb.sql(
        "COPY (SELECT 'trend' AS strategy, day AS date, ret AS return FROM frame) "
        f"TO '{FOLDER / 'duckdb.parquet'}'"
    )
    total, mean, deviation = duckdb.sql(
        "SELECT exp(sum(ln(1 + ret))) - 1, avg(ret), stddev_samp(ret) FROM frame"
    ).fetchall()[0]
    sharpe = mean / deviation * np.sqrt(252)
    return {"trend": figures(values) | {"total": total, "sharpe": sharpe}}


def r() -> dict:
    """`write.csv(as.data.frame(returns), "r.csv")` of an xts with a column `trend`, 15 digits."""
    text = [f"{value:.15g}" for value in returns(5)]
    lines = [f'"{day}",{value}' for day, value in zip(weekdays(), text, strict=True)]
    lines[0] = f'"{weekdays()[0]}",NA'
    (FOLDER / "r.csv").write_text("\n".join(['"","trend"', *lines, ""]))
    values = np.array([float(value) for value in text[1:]])
    # PerformanceAnalytics: SharpeRatio.annualized is geometric.
    growth = np.prod(1 + values) ** (252 / len(values)) - 1
    return {"r": figures(values) | {"sharpe": float(growth / (values.std(ddof=1) * np.sqrt(252)))}}


def pyfolio() -> dict:
    from pyfolio.timeseries import perf_stats

    values = series(6)
    values.to_csv(FOLDER / "pyfolio.csv")
    stats = perf_stats(values)
    names = {
        "total": "Cumulative returns",
        "sharpe": "Sharpe ratio",
        "max_drawdown": "Max drawdown",
    }
    return {"pyfolio": {key: float(stats[name]) for key, name in names.items()}}


def quantstats() -> dict:
    from quantstats import stats

    values = series(7)
    values.to_csv(FOLDER / "quantstats.csv")
    return {
        "quantstats": {
            "total": float(stats.comp(values)),
            "sharpe": float(stats.sharpe(values)),
            "max_drawdown": float(stats.max_drawdown(values)),
        }
    }


def zipline() -> dict:
    """The frame of `run_algorithm`, in the columns that it has, with its own statistics."""
    import empyrical
    import pandas as pd

    values = returns(8)
    index = pd.DatetimeIndex(weekdays()).tz_localize("UTC") + pd.Timedelta(hours=21)
    value = 100_000 * (1 + values).cumprod()
    growing = [pd.Series(values[: row + 1]) for row in range(len(values))]
    frame = pd.DataFrame(
        {
            "period_close": index,
            "returns": values,
            "portfolio_value": value,
            "pnl": np.diff(value, prepend=100_000),
            "algorithm_period_return": value / 100_000 - 1,
            "sharpe": [empyrical.sharpe_ratio(part) for part in growing],
            "max_drawdown": [empyrical.max_drawdown(part) for part in growing],
        },
        index=index,
    )
    frame.to_csv(FOLDER / "zipline.csv")
    last = frame.iloc[-1]
    return {
        "zipline": {
            "total": float(last["algorithm_period_return"]),
            "sharpe": float(last["sharpe"]),
            "max_drawdown": float(last["max_drawdown"]),
        }
    }


def vectorbt() -> dict:
    import pandas as pd
    import vectorbt as vbt

    index = pd.date_range("2025-01-01", periods=80, freq="D")
    price = pd.Series(100 * (1 + returns(9, 80)).cumprod(), index=index, name="BTC")
    fast, slow = price.rolling(3).mean(), price.rolling(8).mean()
    portfolio = vbt.Portfolio.from_signals(
        price, fast > slow, fast < slow, init_cash=10_000, fees=0.001, freq="1D"
    )
    portfolio.value().to_csv(FOLDER / "vectorbt.csv")
    return {
        "vectorbt": {
            "total": float(portfolio.total_return()),
            "sharpe": float(portfolio.sharpe_ratio()),
            "max_drawdown": float(portfolio.max_drawdown()),
        }
    }


def backtrader() -> dict:
    import backtrader as bt
    import pandas as pd

    class Cross(bt.SignalStrategy):
        def __init__(self) -> None:
            self.signal_add(
                bt.SIGNAL_LONG, bt.ind.CrossOver(bt.ind.SMA(period=3), bt.ind.SMA(period=8))
            )

    close = 100 * (1 + returns(10, 80)).cumprod()
    data = pd.DataFrame(
        {name: close for name in ("open", "high", "low", "close")} | {"volume": 1},
        index=pd.DatetimeIndex(weekdays(80)),
    )
    cerebro = bt.Cerebro()
    cerebro.broker.setcash(10_000)
    cerebro.addsizer(bt.sizers.FixedSize, stake=80)
    cerebro.adddata(bt.feeds.PandasData(dataname=data))
    cerebro.addstrategy(Cross)
    cerebro.addanalyzer(bt.analyzers.TimeReturn, _name="returns", timeframe=bt.TimeFrame.Days)
    cerebro.addanalyzer(bt.analyzers.DrawDown, _name="drawdown")
    cerebro.addanalyzer(bt.analyzers.Returns, _name="total")
    cerebro.addanalyzer(
        bt.analyzers.SharpeRatio, _name="sharpe", timeframe=bt.TimeFrame.Days, factor=252,
        riskfreerate=0.0, annualize=True, stddev_sample=True,
    )  # fmt: skip
    (run,) = cerebro.run()
    pd.Series(run.analyzers.returns.get_analysis(), name="return").to_csv(FOLDER / "backtrader.csv")
    return {
        "backtrader": {
            "total": cerebro.broker.getvalue() / 10_000 - 1,
            "sharpe": run.analyzers.sharpe.get_analysis()["sharperatio"],
            "max_drawdown": -run.analyzers.drawdown.get_analysis()["max"]["drawdown"] / 100,
        }
    }


def trades(seed: int, count: int = 24) -> list[tuple[datetime, datetime, float]]:
    """Entry, exit and P&L in cents: at most one exit a day, on weekdays."""
    generator = np.random.default_rng(seed)
    days = weekdays(3 * count)
    found = []
    for number in range(count):
        entry = datetime.combine(days[3 * number], datetime.min.time()) + timedelta(hours=14.5)
        exit_ = datetime.combine(days[3 * number + 1], datetime.min.time()) + timedelta(hours=20)
        found.append((entry, exit_, round(float(generator.normal(60, 400)), 2)))
    return found


def by_day(closed: list, capital: float, first: date, last: date, *, every: bool) -> np.ndarray:
    """The returns of the closed balance on each weekday, or each day."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    days = [day for day in days if every or day.weekday() < 5]
    pnl = np.array([sum(p for _, at, p in closed if at.date() == day) for day in days])
    levels = np.concatenate(([capital], capital + pnl.cumsum()))
    return levels[1:] / levels[:-1] - 1


def of_balance(closed: list, capital: float) -> dict[str, float]:
    levels = np.concatenate(([capital], capital + np.cumsum([pnl for *_, pnl in closed])))
    return {"total": float(levels[-1] / capital - 1), "max_drawdown": drawdown(levels)}


def freqtrade() -> dict:
    """A result in the form of `--export trades`; the Sharpe ratio is of trades over days."""
    closed = trades(11)
    first, last = closed[0][0].date(), closed[-1][1].date() + timedelta(days=4)
    profits = np.array([pnl for *_, pnl in closed]) / 10_000
    sharpe = profits.sum() / (last - first).days / profits.std() * np.sqrt(365)
    own = of_balance(closed, 10_000) | {"sharpe": float(sharpe)}
    result = {
        "trades": [
            {
                "pair": "BTC/USDT",
                "open_date": entry.replace(tzinfo=UTC).isoformat(" "),
                "close_date": exit_.replace(tzinfo=UTC).isoformat(" "),
                "profit_abs": pnl,
                "is_short": False,
                "exit_reason": "roi",
            }
            for entry, exit_, pnl in closed
        ],
        "starting_balance": 10_000,
        "stake_currency": "USDT",
        "backtest_start": f"{first} 00:00:00",
        "backtest_end": f"{last} 00:00:00",
        "profit_total": own["total"],
        "max_drawdown_account": -own["max_drawdown"],
        "sharpe": own["sharpe"],
    }
    content = {"strategy": {"Sma": result}, "strategy_comparison": [{"key": "Sma"}], "metadata": {}}
    (FOLDER / "freqtrade.json").write_text(json.dumps(content, indent=0))
    return {"Sma": own}


def nautilus() -> dict:
    """A real run of the engine over made-up bars; the figures are of its positions."""
    from decimal import Decimal

    import pandas as pd
    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.examples.strategies.ema_cross import EMACross, EMACrossConfig
    from nautilus_trader.model.currencies import USD
    from nautilus_trader.model.data import BarType
    from nautilus_trader.model.enums import AccountType, OmsType
    from nautilus_trader.model.identifiers import Venue
    from nautilus_trader.model.objects import Money
    from nautilus_trader.persistence.wranglers import BarDataWrangler
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    venue = Venue("XNAS")
    engine.add_venue(
        venue, OmsType.NETTING, AccountType.MARGIN, [Money(100_000, USD)], base_currency=USD
    )
    stock = TestInstrumentProvider.equity(symbol="AAPL", venue="XNAS")
    engine.add_instrument(stock)
    kind = BarType.from_str(f"{stock.id}-1-DAY-LAST-EXTERNAL")
    close = np.round(100 * (1 + returns(12, 160)).cumprod(), 2)
    bars = pd.DataFrame(
        # The strategy skips bars with a single price.
        {"open": close, "high": close + 0.1, "low": close - 0.1, "close": close, "volume": 1e6},
        index=pd.DatetimeIndex(weekdays(160)).tz_localize("UTC") + pd.Timedelta(hours=21),
    )
    engine.add_data(BarDataWrangler(kind, stock).process(bars))
    engine.add_strategy(
        EMACross(
            EMACrossConfig(
                instrument_id=stock.id, bar_type=kind, trade_size=Decimal(300),
                fast_ema_period=3, slow_ema_period=6,
            )
        )
    )  # fmt: skip
    engine.run()
    report = engine.trader.generate_positions_report()
    report.to_csv(FOLDER / "nautilus.csv")
    account = engine.trader.generate_account_report(venue)["total"].astype(float)
    levels = np.concatenate(([100_000.0], account.to_numpy()))
    daily = account.groupby(pd.to_datetime(account.index).date).last()
    days = pd.bdate_range(report["ts_opened"].min().date(), report["ts_closed"].max().date()).date
    daily = pd.Series({d: daily[daily.index <= d].iloc[-1] for d in days})
    changes = (
        np.diff(np.concatenate(([100_000.0], daily))) / np.concatenate(([100_000.0], daily))[:-1]
    )
    return {
        "EMACross-000": figures(changes)
        | {"total": float(levels[-1] / 100_000 - 1), "max_drawdown": drawdown(levels)}
    }


def lean() -> dict:
    """The result's chart, with several points a day and the close at midnight in New York."""
    values = returns(13)
    levels = 100_000 * np.concatenate(([1.0], (1 + values).cumprod()))
    days = [weekdays()[0] - timedelta(days=1), *weekdays()]
    points = []
    for day, level in zip(days, levels.round(2), strict=True):
        noon = datetime(day.year, day.month, day.day, 17, tzinfo=UTC).timestamp()
        # The files have UTC; New York's midnight is 05:00 in winter, 04:00 in summer.
        close = 5 if day < date(2025, 3, 9) else 4
        points.append([int(noon), level - 40, level, level - 60, level - 20.0])
        points.append([int(noon) + (24 - 17 + close) * 3600, level, level, level, level])
    series_ = {"Equity": {"name": "Equity", "unit": "$", "values": points}}
    chart = {"Strategy Equity": {"name": "Strategy Equity", "series": series_}}
    (FOLDER / "lean.json").write_text(json.dumps({"charts": chart, "orders": {}}))
    read = levels.round(2)[1:] / levels.round(2)[:-1] - 1
    # Lean's Sharpe ratio: the mean day compounded over a year, over the annual deviation.
    growth = (1 + read.mean()) ** 252 - 1
    return {"lean": figures(read) | {"sharpe": float(growth / (read.std(ddof=1) * np.sqrt(252)))}}


def metatrader() -> dict:
    """The tester's report: HTML in UTF-16 with blanks between thousands."""
    closed = trades(14, 16)

    def amount(value: float) -> str:
        return f"{value:,.2f}".replace(",", " ")

    names = ("Time", "Deal", "Symbol", "Type", "Direction", "Volume", "Price", "Order",
             "Commission", "Swap", "Profit", "Balance", "Comment")  # fmt: skip
    balance = 10_000.0
    rows = [("2025.01.01 00:00:00", "1", "", "balance", "", "", "", "", "0.00", "0.00",
             amount(balance), amount(balance), "")]  # fmt: skip
    for number, (entry, exit_, pnl) in enumerate(closed):
        at, until = (moment.strftime("%Y.%m.%d %H:%M:%S") for moment in (entry, exit_))
        rows.append((at, str(2 * number + 2), "EURUSD", "buy", "in", "1.00", "1.03", "1", "0.00",
                     "0.00", "0.00", amount(balance), ""))  # fmt: skip
        balance += pnl
        rows.append((until, str(2 * number + 3), "EURUSD", "sell", "out", "1.00", "1.04", "2",
                     "-1.50", "0.00", amount(pnl + 1.5), amount(balance), ""))  # fmt: skip
    page = io.StringIO()
    page.write("<html><head><title>Strategy Tester Report</title></head><body><table>\r\n")
    page.write("<tr><td>Initial Deposit:</td><td>10 000.00</td></tr>\r\n")
    page.write('<tr><th colspan="13"><div><b>Deals</b></div></th></tr>\r\n')
    for row in (names, *rows):
        cells = "".join(
            f"<td>{'<b>' + cell + '</b>' if row is names else cell}</td>" for cell in row
        )
        page.write(f"<tr>{cells}</tr>\r\n")
    page.write("</table></body></html>")
    (FOLDER / "metatrader.html").write_bytes(page.getvalue().encode("utf-16"))
    first, last = closed[0][0].date(), closed[-1][1].date()
    daily = by_day(closed, 10_000, first, last, every=False)
    return {"metatrader": figures(daily) | of_balance(closed, 10_000)}


def tradingview() -> dict:
    """The list of trades: the exit's row above the entry's, the last position still open."""
    closed = trades(15)
    names = ("Trade #", "Type", "Date and time", "Signal", "Price USD", "Size (qty)",
             "Net P&L USD", "Net P&L %", "Cumulative P&L USD", "Cumulative P&L %")  # fmt: skip
    rows, total = [], 0.0
    for number, (entry, exit_, pnl) in enumerate(closed, 1):
        total += pnl
        rest = ("100", "10", f"{pnl:.2f}", "1.00", f"{total:.2f}", "1.00")
        rows.append((number, "Exit long", exit_.strftime("%Y-%m-%d %H:%M"), "TP", *rest))
        rows.append((number, "Entry long", entry.strftime("%Y-%m-%d %H:%M"), "Long", *rest))
    at = (closed[-1][1] + timedelta(days=3)).strftime("%Y-%m-%d %H:%M")
    for kind, signal in (("Exit long", "Open"), ("Entry long", "Long")):
        rows.append((len(closed) + 1, kind, at, signal, "100", "10", "55.00", "1", "9", "1"))
    with (FOLDER / "tradingview.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    # TradingView's Sharpe ratio is of the returns of months.
    balance: dict[tuple[int, int], float] = {}
    level = 10_000.0
    for _, exit_, pnl in closed:
        level += pnl
        balance[exit_.year, exit_.month] = level
    levels = np.array([10_000.0, *balance.values()])
    months = levels[1:] / levels[:-1] - 1
    own = of_balance(closed, 10_000) | {"sharpe": float(months.mean() / months.std())}
    return {"tradingview": own}


def ibkr() -> dict:
    """A PortfolioAnalyst report by days: the return since the start, in percent."""
    index = np.round(100 * ((1 + returns(16)).cumprod() - 1), 6)
    lines = [
        "Introduction,Header,Name,Account,Alias,BaseCurrency,AccountType,AnalysisPeriod,Performance",
        "Introduction,Data,A Desk,U1234567,,USD,Individual,"
        '"January 2, 2025 to March 26, 2025 (Daily)",TWR',
        "Key Statistics,Header,BeginningNAV,EndingNAV,CumulativeReturn",
        f"Key Statistics,Data,100000,104000,{index[-1]}",
        "Cumulative Performance Statistics,MetaInfo,Analysis Period,Daily",
        "Cumulative Performance Statistics,Header,Date,Account,Return",
    ]
    for day, value in zip(weekdays(), index, strict=True):
        lines.append(f"Cumulative Performance Statistics,Data,{day:%m/%d/%y},U1234567,{value:.6f}")
        lines.append(f"Cumulative Performance Statistics,Data,{day:%m/%d/%y},SPXTR,1.0")
    (FOLDER / "ibkr.csv").write_text("\n".join([*lines, ""]), encoding="utf-8-sig")
    levels = np.concatenate(([1.0], 1 + index / 100))
    return {"ibkr": figures(levels[1:] / levels[:-1] - 1)}


if __name__ == "__main__":
    found = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for recipe in sys.argv[1:]:
        found[recipe] = globals()[recipe]()
    FIGURES.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")
